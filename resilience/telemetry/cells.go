package telemetry

import (
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// retryCells are the counts of all retry policies of one name under one meter
// provider. They outlive the policies: a counter must never go back.
type retryCells struct {
	name string
	also *retryCells // where metrics report these, if not by themselves

	// Every call that succeeds counts in one of these two; both the calls and the
	// attempts that succeeded follow from them, which makes the untroubled path one
	// addition.
	atOnce counter
	// timed is above 0 if calls read the clock when they begin, as there was trouble lately:
	// beside what every call reads anyway.
	timed      atomic.Int32
	afterRetry counter
	failures   failures

	// These are for the debug page; metrics have them in the histograms.
	retried, retries, latency counter // calls, attempts, nanoseconds
	recent                    recentCalls

	successAtOnce, successLater, attemptSuccess []metric.ObserveOption

	// Options of the histograms, made once.
	options *retryOptions
}

// retryOptions are the attributes with which the histograms of one name are recorded.
type retryOptions struct {
	delay     []metric.RecordOption
	byOutcome [numOutcomes][]metric.RecordOption
}

func newRetryCells(name string, other *retryCells) *retryCells {
	if other != nil {
		return &retryCells{name: name, also: other, options: other.options}
	}
	policy := AttrPolicyName.String(name)
	c := &retryCells{
		name:           name,
		successAtOnce:  observeOption(policy, AttrOutcome.String(OutcomeSuccess.String())),
		successLater:   observeOption(policy, AttrOutcome.String(OutcomeSuccessAfterRetry.String())),
		attemptSuccess: observeOption(policy, AttrAttemptOutcome.String(attemptSuccess)),
		options:        &retryOptions{delay: recordOption(policy)},
	}
	c.failures.policy = policy
	for o := range numOutcomes {
		c.options.byOutcome[o] = recordOption(policy, AttrOutcome.String(o.String()))
	}
	return c
}

func (c *retryCells) succeededAtOnce() {
	c.atOnce.Add(1)
	if c.also != nil {
		c.also.succeededAtOnce()
	}
}

func (c *retryCells) succeededLater() {
	c.afterRetry.Add(1)
	if c.also != nil {
		c.also.succeededLater()
	}
}

func (c *retryCells) failed(key failureKey) {
	c.failures.counter(key).Add(1)
	if c.also != nil {
		c.also.failed(key)
	}
}

func observeOption(attrs ...attribute.KeyValue) []metric.ObserveOption {
	return []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

func recordOption(attrs ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

// observe reports the counts. A success is read once for both instruments, so that
// they agree with each other.
func (c *retryCells) observe(o metric.Observer, calls, attempts metric.Int64Observable) {
	atOnce, afterRetry := c.atOnce.Value(), c.afterRetry.Value()
	o.ObserveInt64(calls, atOnce, c.successAtOnce...)
	o.ObserveInt64(calls, afterRetry, c.successLater...)
	o.ObserveInt64(attempts, atOnce+afterRetry, c.attemptSuccess...)
	c.failures.observe(o, calls, attempts)
}

// failures counts what failed by outcome and error type. Reading is a map look-up in
// an immutable map; a combination that is new replaces the map.
type failures struct {
	policy attribute.KeyValue
	mu     sync.Mutex // held to add a combination
	known  atomic.Pointer[failureMap]
}

type failureMap struct {
	counters map[failureKey]*failureCounter
	ordered  []*failureCounter // as they appeared, so that a reader's limits hit the newest
	types    map[string]bool
}

type failureKey struct {
	attempt   bool   // of an attempt or of a call
	outcome   string // the outcome of the attempt or the call
	errorType string
}

type failureCounter struct {
	counter
	key    failureKey
	option []metric.ObserveOption
}

// counter returns the counter of key, where error types beyond MaxErrorTypes count as
// Other.
func (f *failures) counter(key failureKey) *counter {
	if m := f.known.Load(); m != nil {
		if c := m.counters[key]; c != nil {
			return &c.counter
		}
		if len(m.types) >= MaxErrorTypes && !m.types[key.errorType] {
			key.errorType = Other
			if c := m.counters[key]; c != nil {
				return &c.counter
			}
		}
	}
	return f.add(key)
}

func (f *failures) add(key failureKey) *counter {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := &failureMap{counters: map[failureKey]*failureCounter{}, types: map[string]bool{}}
	if m := f.known.Load(); m != nil {
		for _, c := range m.ordered {
			next.counters[c.key] = c
		}
		for t := range m.types {
			next.types[t] = true
		}
		next.ordered = append(next.ordered, m.ordered...)
	}
	if len(next.types) >= MaxErrorTypes && !next.types[key.errorType] {
		key.errorType = Other
	}
	if c := next.counters[key]; c != nil { // somebody else was faster
		return &c.counter
	}
	outcome := AttrOutcome
	if key.attempt {
		outcome = AttrAttemptOutcome
	}
	c := &failureCounter{key: key, option: observeOption(
		f.policy, outcome.String(key.outcome), AttrErrorType.String(key.errorType))}
	next.counters[key] = c
	next.ordered = append(next.ordered, c)
	next.types[key.errorType] = true
	f.known.Store(next)
	return &c.counter
}

// all returns the counters, in the order of their appearance.
func (f *failures) all() []*failureCounter {
	if m := f.known.Load(); m != nil {
		return m.ordered
	}
	return nil
}

func (f *failures) observe(o metric.Observer, calls, attempts metric.Int64Observable) {
	for _, c := range f.all() {
		instrument := calls
		if c.key.attempt {
			instrument = attempts
		}
		o.ObserveInt64(instrument, c.Value(), c.option...)
	}
}

// budgetCells are the counts of all budgets of one name under one meter provider.
type budgetCells struct {
	name string
	also *budgetCells // where metrics report these, if not by themselves

	granted, denied, refunded counter

	level atomic.Pointer[level[BudgetLevel]]

	budgetOption, grantedOption, deniedOption []metric.ObserveOption
}

func newBudgetCells(name string, other *budgetCells) *budgetCells {
	if other != nil {
		return &budgetCells{name: name, also: other}
	}
	budget := AttrBudgetName.String(name)
	return &budgetCells{
		name:          name,
		budgetOption:  observeOption(budget),
		grantedOption: observeOption(budget, AttrBudgetResult.String(resultGranted)),
		deniedOption:  observeOption(budget, AttrBudgetResult.String(resultDenied)),
	}
}
