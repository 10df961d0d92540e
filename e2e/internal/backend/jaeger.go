package backend

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// A Jaeger is a whole Jaeger in one process, which keeps traces in memory.
type Jaeger struct {
	*Process

	// URL is where it answers queries.
	URL string
	// OTLP is where it takes traces over OTLP/HTTP.
	OTLP string
}

// jaegerConfig binds everything to loopback. Its addresses are those of the queries, of the gRPC
// queries, of OTLP and of the health check.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 100000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: %q
    grpc:
      endpoint: %q
  healthcheckv2:
    use_v2: true
    http:
      endpoint: %q
      status:
        enabled: true
        path: /status
receivers:
  otlp:
    protocols:
      http:
        endpoint: %q
processors:
  batch:
    timeout: 50ms
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
`

// StartJaeger starts a Jaeger, whose configuration it writes into dir.
func StartJaeger(dir string) (*Jaeger, error) {
	program, err := Program("jaeger")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "jaeger.yaml")
	j := &Jaeger{}
	j.Process, err = withAddresses(4, func(ctx context.Context, addresses []string) (*Process, error) {
		query, queryGRPC, health, otlp := addresses[0], addresses[1], addresses[2], addresses[3]
		j.URL, j.OTLP = "http://"+query, "http://"+otlp
		config := fmt.Sprintf(jaegerConfig, query, queryGRPC, health, otlp)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, err
		}
		process, err := Start("jaeger", program, "--config", file)
		if err != nil {
			return nil, err
		}
		return process, process.await(ctx, func(ctx context.Context) error {
			return get(ctx, "http://"+health+"/status", nil)
		})
	})
	return j, err
}

// OTLPTraces is the URL to which traces are sent.
func (j *Jaeger) OTLPTraces() string { return j.OTLP + "/v1/traces" }

// A Span is a span as Jaeger shows it.
type Span struct {
	ID     string
	Parent string // the ID of the span above it, or ""
	Name   string
	Tags   map[string]any
	Events []Event
}

// An Event is an event of a span.
type Event struct {
	Name       string
	Attributes map[string]any
}

// Trace returns the spans of a trace. It is an error if Jaeger does not have it.
func (j *Jaeger) Trace(ctx context.Context, id string) ([]Span, error) {
	type field struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	var answer struct {
		Data []struct {
			Spans []struct {
				ID         string `json:"spanID"`        //nolint:tagliatelle // named by Jaeger
				Name       string `json:"operationName"` //nolint:tagliatelle // named by Jaeger
				References []struct {
					Type string `json:"refType"` //nolint:tagliatelle // named by Jaeger
					Span string `json:"spanID"`  //nolint:tagliatelle // named by Jaeger
				} `json:"references"`
				Tags []field `json:"tags"`
				Logs []struct {
					Fields []field `json:"fields"`
				} `json:"logs"`
			} `json:"spans"`
		} `json:"data"`
	}
	if err := get(ctx, j.URL+"/api/traces/"+id, &answer); err != nil {
		return nil, err
	}
	attributes := func(fields []field) map[string]any {
		all := make(map[string]any, len(fields))
		for _, f := range fields {
			all[f.Key] = f.Value
		}
		return all
	}
	var spans []Span
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			span := Span{ID: s.ID, Name: s.Name, Tags: attributes(s.Tags)}
			for _, reference := range s.References {
				if reference.Type == "CHILD_OF" {
					span.Parent = reference.Span
				}
			}
			for _, log := range s.Logs {
				event := Event{Attributes: attributes(log.Fields)}
				event.Name, _ = event.Attributes["event"].(string)
				delete(event.Attributes, "event")
				span.Events = append(span.Events, event)
			}
			spans = append(spans, span)
		}
	}
	return spans, nil
}
