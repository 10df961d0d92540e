package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const (
	registryFile  = "../../docs/semconv/resilience.yaml"
	referenceFile = "../../docs/signals.md"
)

var update = flag.Bool("update", false, "write docs/signals.md anew")

// The registry in the YAML of OpenTelemetry Weaver, as far as it is used.
type registry struct {
	Groups []group `yaml:"groups"`
}

type group struct {
	ID         string       `yaml:"id"`
	Type       string       `yaml:"type"`
	Name       string       `yaml:"name"`
	MetricName string       `yaml:"metric_name"`
	Instrument string       `yaml:"instrument"`
	Unit       string       `yaml:"unit"`
	Brief      string       `yaml:"brief"`
	Note       string       `yaml:"note"`
	Attributes []attributes `yaml:"attributes"`
}

type attributes struct {
	ID          string    `yaml:"id"`
	Ref         string    `yaml:"ref"`
	Type        valueType `yaml:"type"`
	Brief       string    `yaml:"brief"`
	Note        string    `yaml:"note"`
	Requirement level     `yaml:"requirement_level"`
}

// valueType is the name of a type, or an enumeration.
type valueType struct {
	Name    string
	Members []struct{ Value, Brief string }
}

func (t *valueType) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&t.Name) == nil {
		return nil
	}
	var enum struct {
		Members []struct{ Value, Brief string }
	}
	err := unmarshal(&enum)
	t.Name, t.Members = "string", enum.Members
	return err
}

// level is "required", or a map with a condition.
type level struct{ condition string }

func (l *level) UnmarshalYAML(unmarshal func(any) error) error {
	var name string
	if unmarshal(&name) == nil {
		return nil
	}
	var m map[string]string
	err := unmarshal(&m)
	l.condition = m["conditionally_required"]
	return err
}

func readRegistry(t *testing.T) registry {
	t.Helper()
	text, err := os.ReadFile(registryFile)
	require.NoError(t, err)
	var r registry
	require.NoError(t, yaml.Unmarshal(text, &r))
	return r
}

// attribute returns what the registry says of an attribute; what it does not define is
// of the OpenTelemetry semantic conventions and has the type string.
func (r registry) attribute(id string) attributes {
	for _, a := range r.Groups[0].Attributes {
		if a.ID == id {
			return a
		}
	}
	return attributes{ID: id, Type: valueType{Name: "string"}}
}

func (r registry) byType(kind string) map[string]group {
	groups := map[string]group{}
	for _, g := range r.Groups {
		if g.Type == kind {
			groups[g.ID] = g
		}
	}
	return groups
}

// seen is a set of attributes that was emitted for a signal.
type seen struct {
	signal string
	set    []attribute.KeyValue
}

// checkAttributes compares what was emitted with what the group declares: nothing that
// is not declared, all that is required, and each attribute at least once.
func (r registry) checkAttributes(t *testing.T, g group, emitted []seen) {
	t.Helper()
	used := map[string]bool{}
	for _, s := range emitted {
		if s.signal != g.ID {
			continue
		}
		there := map[string]bool{}
		for _, kv := range s.set {
			key := string(kv.Key)
			there[key], used[key] = true, true
			i := slices.IndexFunc(g.Attributes, func(a attributes) bool { return a.Ref == key })
			assert.NotEqual(t, -1, i, "%s: %s is not declared", g.ID, key)
			r.checkValue(t, g, kv)
		}
		for _, a := range g.Attributes {
			if a.Requirement.condition == "" {
				assert.True(t, there[a.Ref], "%s: %s is missing in %v", g.ID, a.Ref, s.set)
			}
		}
	}
	for _, a := range g.Attributes {
		assert.True(t, used[a.Ref], "%s: %s was never seen", g.ID, a.Ref)
	}
}

func (r registry) checkValue(t *testing.T, g group, kv attribute.KeyValue) {
	t.Helper()
	declared := r.attribute(string(kv.Key))
	types := map[attribute.Type]string{
		attribute.STRING: "string", attribute.INT64: "int", attribute.FLOAT64: "double", attribute.BOOL: "boolean",
	}
	assert.Equal(t, declared.Type.Name, types[kv.Value.Type()], "%s: %s", g.ID, kv.Key)
	if members := declared.Type.Members; members != nil {
		assert.True(t, slices.ContainsFunc(members, func(m struct{ Value, Brief string }) bool {
			return m.Value == kv.Value.AsString()
		}), "%s: %s: %s is no member", g.ID, kv.Key, kv.Value.AsString())
	}
}

// logKeeper keeps log records.
type logKeeper struct{ records []sdklog.Record }

func (k *logKeeper) OnEmit(_ context.Context, r *sdklog.Record) error {
	k.records = append(k.records, r.Clone())
	return nil
}
func (*logKeeper) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*logKeeper) Shutdown(context.Context) error                         { return nil }
func (*logKeeper) ForceFlush(context.Context) error                       { return nil }

// What is emitted is what the registry says, for every signal and attribute.
func TestSignalsAreThoseOfTheRegistry(t *testing.T) {
	r := readRegistry(t)
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	logs := &logKeeper{}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	options := []telemetry.Option{
		telemetry.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		telemetry.WithTracerProvider(tracers),
		telemetry.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(logs))),
		telemetry.WithSpans(),
	}
	emitEverything(t, tracers.Tracer("test"), options)

	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &rm))
	var emitted []seen
	metrics := r.byType("metric")
	for _, m := range rm.ScopeMetrics[0].Metrics {
		id := "metric." + m.Name
		g, ok := metrics[id]
		require.True(t, ok, "%s is not in the registry", m.Name)
		assert.Equal(t, g.MetricName, m.Name)
		assert.Equal(t, g.Unit, m.Unit, m.Name)
		assert.Equal(t, g.Brief, m.Description, m.Name)
		instrument, sets := points(m.Data)
		assert.Equal(t, g.Instrument, instrument, m.Name)
		for _, set := range sets {
			emitted = append(emitted, seen{id, set.ToSlice()})
		}
	}
	assert.Len(t, rm.ScopeMetrics[0].Metrics, len(metrics), "metrics in the registry that were not seen")

	outcomes := map[string]bool{}
	for _, span := range spans.Ended() {
		id := "span.resilience.call"
		if span.Name() == "guards" { // the caller's own
			id = ""
		}
		if strings.HasSuffix(span.Name(), " attempt") {
			id = "span.resilience.attempt"
		}
		if id != "" {
			emitted = append(emitted, seen{id, span.Attributes()})
		}
		for _, e := range span.Events() {
			emitted = append(emitted, seen{"event." + e.Name, e.Attributes})
		}
	}
	for _, record := range logs.records {
		s := seen{signal: "event." + record.EventName()}
		record.WalkAttributes(func(kv attribute.KeyValue) bool {
			s.set = append(s.set, kv)
			if kv.Key == telemetry.AttrOutcome {
				outcomes[kv.Value.AsString()] = true
			}
			return true
		})
		emitted = append(emitted, s)
		assert.NotEqual(t, log.SeverityUndefined, record.Severity())
	}
	for _, s := range emitted {
		assert.True(t, slices.ContainsFunc(r.Groups, func(g group) bool { return g.ID == s.signal }), "%s is not in the registry", s.signal)
	}
	for _, g := range r.Groups[1:] {
		r.checkAttributes(t, g, emitted)
	}

	declared := r.attribute("resilience.outcome").Type.Members
	require.Len(t, declared, len(telemetry.Outcomes()))
	for i, o := range telemetry.Outcomes() {
		assert.Equal(t, o.String(), declared[i].Value)
		assert.True(t, o == telemetry.OutcomeSuccess || outcomes[o.String()], "%v was never seen", o)
	}
}

// points returns the registry's name of the instrument that makes such data, and the
// attributes of its points.
func points(data metricdata.Aggregation) (instrument string, sets []attribute.Set) {
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		instrument = "updowncounter"
		if data.IsMonotonic {
			instrument = "counter"
		}
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[float64]:
		instrument = "gauge"
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		instrument = "histogram"
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return instrument, sets
}

// emitEverything makes calls that end in every outcome for every reason.
func emitEverything(t *testing.T, tracer trace.Tracer, options []telemetry.Option) {
	t.Helper()
	shared := budget.MustNew("budget", budget.WithBurst(1), budget.WithFloor(0), budget.WithRatio(0.000001), budget.WithTelemetry(options...))
	policy := func(more ...retry.Option) *retry.Policy {
		return retry.MustNew("policy", append([]retry.Option{
			retry.WithInitialDelay(0), retry.WithTelemetry(options...),
		}, more...)...)
	}
	do := func(ctx context.Context, p *retry.Policy, errs ...error) {
		i := -1
		_ = p.Do(ctx, func(context.Context) error { i++; return errs[min(i, len(errs)-1)] })
	}
	ctx := context.Background()
	dead, cancel := context.WithCancel(ctx)
	cancel()
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	p := policy()
	do(ctx, p, nil)
	do(ctx, p, errTransient, nil)
	do(ctx, p, errTransient)
	do(ctx, p, resilience.Permanent(errTransient))
	do(ctx, p, errors.New("unclassified"))
	do(ctx, p, resilience.Refused(errTransient))
	do(dead, p, nil)
	do(resilience.NoRetry(ctx), p, errTransient)
	do(ctx, p, resilience.RetryAfter(errTransient, time.Hour))
	do(ctx, p, resilience.RetryAfter(errTransient, 1), nil)
	do(ctx, policy(retry.WithBudget(shared)), errTransient) // granted, then denied
	do(soon, policy(retry.WithInitialDelay(time.Hour), retry.WithMaxDelay(2*time.Hour), retry.WithJitter(2)), errTransient)
	do(ctx, policy(retry.WithInitialDelay(time.Hour), retry.WithMaxElapsed(time.Minute), retry.WithJitter(2)), errTransient)

	cancelled, cancel := context.WithCancel(ctx)
	_ = p.Do(cancelled, func(context.Context) error { cancel(); return errTransient })
	assert.Panics(t, func() { _ = p.Do(ctx, func(context.Context) error { panic("boom") }) })
	_ = p.Do(ctx, func(ctx context.Context) error { // nested, from within and from without
		return p.Do(resilience.WithAttempt(ctx, resilience.Attempt{Number: 2}), func(context.Context) error { return errTransient })
	})
	var err error
	for range p.Attempts(ctx, &err) {
		err = errTransient
		break
	}
	ctx, span := tracer.Start(ctx, "guards")
	defer span.End()
	emitGuards(ctx, t, options)
}

// emitGuards tells of everything that guards tell of.
func emitGuards(ctx context.Context, t *testing.T, options []telemetry.Option) {
	t.Helper()
	must := func(g *telemetry.Guard, err error) *telemetry.Guard {
		require.NoError(t, err)
		return g
	}
	breaker := must(telemetry.NewBreaker("guard", func() telemetry.BreakerLevel { return telemetry.BreakerLevel{State: "closed"} }, options...))
	breaker.StateChanged(ctx, telemetry.BreakerChange{From: "closed", To: "open", Reason: "failure_ratio", Calls: 40, Failures: 21, OpenFor: time.Second})
	breaker.Rejected(ctx, telemetry.Rejection{Reason: "open", RetryAfter: time.Second})
	bulkhead := must(telemetry.NewBulkhead("guard", func() telemetry.BulkheadLevel { return telemetry.BulkheadLevel{} }, options...))
	limit := must(telemetry.NewRateLimit("guard", func() telemetry.RateLevel { return telemetry.RateLevel{Rate: 1} }, options...))
	adaptive := must(telemetry.NewAdaptive("guard", func() telemetry.AdaptiveLevel { return telemetry.AdaptiveLevel{Limited: true} }, options...))
	for _, g := range []*telemetry.Guard{bulkhead, limit, adaptive} {
		g.Rejected(ctx, telemetry.Rejection{Reason: "deadline"})
		g.Waited(ctx, time.Second)
	}
	must(telemetry.NewThrottle("guard", func() float64 { return 0 }, options...))
	must(telemetry.NewDelays("guard", func() telemetry.DelaysLevel { return telemetry.DelaysLevel{} }, options...))
	must(telemetry.NewTimeout("guard", options...)).TimedOut(ctx, time.Second)
	hedge := must(telemetry.NewHedge("guard", func() time.Duration { return 0 }, options...))
	hedge.HedgeSent(ctx, 2, time.Second)
	hedge.HedgeDenied(ctx)
	hedge.HedgeWon(ctx, 2)
	hedge.CopyPanicked(ctx, 2, "boom")
	fallback := must(telemetry.NewFallback("guard", options...))
	fallback.FallbackUsed(ctx, errTransient, "transient")
	fallback.FallbackFailed(ctx, errTransient, "transient")
	shared := must(telemetry.NewSharedBudget("budget", func() telemetry.SharedBudgetLevel {
		return telemetry.SharedBudgetLevel{Mode: "shared", Tokens: 40, Capacity: 100}
	}, options...))
	shared.Exchanged(time.Millisecond)
	shared.ExchangeFailed(telemetry.ResultTimedOut, errTransient, "transient")
	shared.ModeChanged(telemetry.SharedBudgetChange{From: "shared", To: "closed", Err: errTransient, ErrorType: "transient"})
	shared.ModeChanged(telemetry.SharedBudgetChange{From: "closed", To: "shared"})
	for _, reason := range []string{resilience.NestedRetries, resilience.BreakerOutsideRetry, resilience.TimeoutTooShort} {
		fallback.Warn(ctx, reason, "why")
	}
}

// docs/signals.md is the registry in prose.
func TestReferencePageIsUpToDate(t *testing.T) {
	page := reference(readRegistry(t))
	if *update {
		require.NoError(t, os.WriteFile(referenceFile, page, 0o644))
	}
	have, err := os.ReadFile(referenceFile)
	require.NoError(t, err)
	require.Equal(t, string(page), string(have), "run: go test ./resilience/telemetry -run ReferencePage -update")
}

func reference(r registry) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Signals")
	line("")
	line("Everything that the toolkit emits. This page is generated from [semconv/resilience.yaml](semconv/resilience.yaml),")
	line("a registry in the form that OpenTelemetry Weaver reads, and a test compares that with what")
	line("the code emits. How to set it up and what to ask of it is in [telemetry.md](telemetry.md).")
	line("")
	line("The instrumentation scope is `%s`. Attributes without a link are of the", telemetry.ScopeName)
	line("OpenTelemetry semantic conventions. Attributes in *italics* are there under a condition.")
	line("")
	line("## Metrics")
	line("")
	for _, g := range r.Groups {
		if g.Type == "metric" {
			line("### %s", g.MetricName)
			line("")
			line("%s, `%s`. %s%s", capitalize(g.Instrument), g.Unit, g.Brief, note(g.Note))
			line("")
			line("Attributes: %s.", r.references(g))
			line("")
		}
	}
	line("## Events")
	line("")
	line("On the span of the caller's context if it records, or on that of the call with `telemetry.WithSpans`; as log")
	line("events too with `telemetry.WithLogEvents`.")
	line("")
	for _, g := range r.Groups {
		if g.Type == "event" {
			line("### %s", g.Name)
			line("")
			line("%s%s", g.Brief, note(g.Note))
			line("")
			line("Attributes: %s.", r.references(g))
			line("")
		}
	}
	line("## Spans")
	line("")
	line("With `telemetry.WithSpans`.")
	line("")
	for _, g := range r.Groups {
		if g.Type == "span" {
			line("- **%s**: %s Kind internal. Attributes: %s.", strings.TrimPrefix(g.ID, "span."), g.Brief, r.references(g))
		}
	}
	line("")
	line("## Attributes")
	line("")
	for _, a := range r.Groups[0].Attributes {
		line("### %s", a.ID)
		line("")
		line("%s: %s%s", capitalize(a.Type.Name), a.Brief, note(a.Note))
		line("")
		if a.Type.Members != nil {
			line("| value | meaning |")
			line("|---|---|")
			for _, m := range a.Type.Members {
				line("| `%s` | %s |", m.Value, m.Brief)
			}
			line("")
		}
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func (r registry) references(g group) string {
	var refs []string
	for _, a := range g.Attributes {
		ref := "`" + a.Ref + "`"
		if r.attribute(a.Ref).Brief != "" {
			ref = fmt.Sprintf("[%s](#%s)", ref, strings.ReplaceAll(a.Ref, ".", ""))
		}
		if c := a.Requirement.condition; c != "" {
			ref = fmt.Sprintf("*%s* (%s)", ref, strings.ToLower(c[:1])+strings.TrimSuffix(c[1:], "."))
		}
		refs = append(refs, ref)
	}
	return strings.Join(refs, ", ")
}

func capitalize(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func note(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}
