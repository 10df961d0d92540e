package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var errDown = errors.New("down")

func returns(err error) resilience.Operation {
	return func(context.Context) error { return err }
}

// takes is an operation that takes d and returns err.
func takes(d time.Duration, err error) resilience.Operation {
	return func(context.Context) error { time.Sleep(d); return err }
}

// do makes calls that return errs, one after the other.
func do(b *breaker.Breaker, errs ...error) (last error) {
	for _, err := range errs {
		last = b.Do(context.Background(), returns(err))
	}
	return last
}

func times(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// open returns a breaker that a failure has opened.
func open(opts ...breaker.Option) *breaker.Breaker {
	b := breaker.MustNew("b", append([]breaker.Option{breaker.WithConsecutiveFailures(1)}, opts...)...)
	_ = do(b, errDown)
	return b
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for want, option := range map[string]breaker.Option{
		"failure_ratio: 0 is not allowed: want more than 0, up to 1": breaker.WithFailureRatio(0),
		"failure_ratio: 1.1 is not allowed":                          breaker.WithFailureRatio(1.1),
		"failure_ratio: NaN is not allowed":                          breaker.WithFailureRatio(math.NaN()),
		"slow_ratio: -1 is not allowed":                              breaker.WithSlowRatio(-1, 1),
		"slow_threshold: 0s is not allowed: want more than 0s":       breaker.WithSlowRatio(1, 0),
		"consecutive_failures: 0 is not allowed: want 1 to 1000000":  breaker.WithConsecutiveFailures(0),
		"consecutive_failures: 1000001 is not allowed":               breaker.WithConsecutiveFailures(1_000_001),
		"min_calls: 0 is not allowed: want 1 to 1000000":             breaker.WithMinCalls(0),
		"time_window: 9ms is not allowed: want at least 10ms":        breaker.WithTimeWindow(9 * time.Millisecond),
		"count_window: -1 is not allowed: want 1 to 1000000":         breaker.WithCountWindow(-1),

		"open_time: 0s is not allowed: want more than 0s":                       breaker.WithOpenTime(0),
		"open_backoff: <nil> is not allowed: want a backoff.Backoff":            breaker.WithOpenBackoff(nil),
		"backoff: Initial: -1ns is not allowed":                                 breaker.WithOpenBackoff(backoff.Exponential{Initial: -1}),
		"probes: 0 is not allowed: want 1 to 10000":                             breaker.WithProbes(0),
		"probe_timeout: -1ns is not allowed: want at least 0s; 0s is no bound":  breaker.WithProbeTimeout(-1),
		"classifier: nil is not allowed: want a function":                       breaker.WithClassifier(nil),
		"unknown: unknown is not allowed: want retryable, permanent or refused": breaker.WithUnknown(resilience.ClassUnknown),
		"unknown: Class(9) is not allowed":                                      breaker.WithUnknown(9),
		"ignored: nil is not allowed: want a function":                          breaker.WithIgnored(nil),
		"on_state_change: nil is not allowed: want a function":                  breaker.WithOnStateChange(nil),
		"telemetry: WithMeterProvider: nil is not allowed":                      breaker.WithTelemetry(telemetry.WithMeterProvider(nil)),
	} {
		_, err := breaker.New("b", option)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `breaker: "b"`)
	}
	_, err := breaker.New("b", breaker.WithCountWindow(10), breaker.WithMinCalls(11))
	require.ErrorContains(t, err, `breaker: "b": min_calls: 11 is not allowed: want at most the 10 calls of the count window`)
	_, err = breaker.New("")
	require.ErrorContains(t, err, "breaker: name: ")
	assert.Panics(t, func() { breaker.MustNew("") })
	_, err = breaker.New("b", nil, breaker.WithCountWindow(10), breaker.WithConsecutiveFailures(3))
	require.NoError(t, err, "no ratio, so that no minimum matters")
	_, err = breaker.New("b", breaker.WithCountWindow(10), breaker.WithTimeWindow(time.Second))
	require.NoError(t, err, "the last window counts")
}

func TestNils(t *testing.T) {
	t.Parallel()
	b := breaker.MustNew("b")
	require.ErrorContains(t, b.Do(t.Context(), nil), "the operation is nil")
	_, err := breaker.DoValue[int](t.Context(), b, nil)
	require.ErrorContains(t, err, "the operation is nil")
	//nolint:staticcheck // that is what is tested
	require.ErrorContains(t, b.Do(nil, returns(nil)), "the context is nil")

	var none *breaker.Breaker
	assert.Equal(t, errDown, do(none, errDown))
	assert.Equal(t, breaker.Disabled, none.State())
	assert.Zero(t, none.Counts())
	none.ForceOpen()
	none.Disable()
	none.Reset()
	none.Warn(t.Context(), resilience.Problem{})
	permit, err := none.Allow(t.Context())
	require.NoError(t, err)
	permit.Done(errDown)
	assert.Equal(t, resilience.Description{Kind: "breaker"}, none.Describe())
	assert.Equal(t, resilience.Description{Kind: "breaker", Name: "b"}, b.Describe())
}

func TestConditions(t *testing.T) {
	t.Parallel()
	type step struct {
		wait time.Duration
		errs []error
		want breaker.State
	}
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			options []breaker.Option
			steps   []step
			reason  breaker.Reason
		}{
			"default: half of 20": {nil, []step{
				{0, times(19, errDown), breaker.Closed},
				{0, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"default: less than half": {nil, []step{
				{0, times(501, nil), breaker.Closed},
				{0, times(500, errDown), breaker.Closed},
				{0, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"default: long ago": {nil, []step{
				{0, times(19, errDown), breaker.Closed},
				{30 * time.Second, times(19, errDown), breaker.Closed},
				{26 * time.Second, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"default: a success completes the calls": {nil, []step{
				{0, times(10, errDown), breaker.Closed},
				{0, times(9, nil), breaker.Closed},
				{0, times(1, nil), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"consecutive": {[]breaker.Option{breaker.WithConsecutiveFailures(3)}, []step{
				{0, []error{errDown, errDown, nil, errDown, errDown}, breaker.Closed},
				{0, times(1, errDown), breaker.Open},
			}, breaker.ReasonConsecutiveFailures},
			"consecutive, however slowly": {[]breaker.Option{breaker.WithConsecutiveFailures(2)}, []step{
				{0, times(1, errDown), breaker.Closed},
				{time.Hour, times(1, errDown), breaker.Open},
			}, breaker.ReasonConsecutiveFailures},
			"consecutive alone replaces the ratio": {[]breaker.Option{breaker.WithConsecutiveFailures(1000)}, []step{
				{0, times(999, errDown), breaker.Closed},
			}, ""},
			"last calls": {[]breaker.Option{breaker.WithCountWindow(4), breaker.WithMinCalls(4), breaker.WithFailureRatio(0.75)}, []step{
				{0, times(1, errDown), breaker.Closed},
				{time.Hour, []error{errDown, nil, nil, errDown}, breaker.Closed},
				{time.Hour, times(1, errDown), breaker.Closed},
				{time.Hour, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"all must fail": {[]breaker.Option{breaker.WithFailureRatio(1), breaker.WithMinCalls(3)}, []step{
				{0, []error{nil, errDown, errDown, errDown}, breaker.Closed},
				{31 * time.Second, times(3, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"a short count window": {[]breaker.Option{breaker.WithCountWindow(4)}, []step{
				{0, times(3, errDown), breaker.Closed},
				{time.Hour, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"slow calls alone leave the default": {[]breaker.Option{breaker.WithSlowRatio(1, time.Hour)}, []step{
				{0, times(19, errDown), breaker.Closed},
				{0, times(1, errDown), breaker.Open},
			}, breaker.ReasonFailureRatio},
			"several conditions": {[]breaker.Option{breaker.WithFailureRatio(0.9), breaker.WithConsecutiveFailures(5)}, []step{
				{0, times(4, errDown), breaker.Closed},
				{0, times(1, errDown), breaker.Open},
			}, breaker.ReasonConsecutiveFailures},
		} {
			var changes []breaker.Change
			b := breaker.MustNew("b", append(tt.options, breaker.WithOnStateChange(func(c breaker.Change) { changes = append(changes, c) }))...)
			for i, s := range tt.steps {
				time.Sleep(s.wait)
				_ = do(b, s.errs...)
				require.Equal(t, s.want, b.State(), "%s: step %d", name, i)
			}
			if tt.reason != "" {
				require.Len(t, changes, 1, name)
				assert.Equal(t, tt.reason, changes[0].Reason, name)
			}
		}
	})
}

func TestSlowCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{nil, errDown, resilience.Permanent(errDown)} {
			var changes []breaker.Change
			b := breaker.MustNew("b", breaker.WithSlowRatio(0.5, time.Second), breaker.WithFailureRatio(1), breaker.WithMinCalls(4), breaker.WithProbes(1),
				breaker.WithOnStateChange(func(c breaker.Change) { changes = append(changes, c) }))
			_ = do(b, nil, nil)
			_ = b.Do(t.Context(), takes(time.Second, err))
			_ = b.Do(t.Context(), takes(time.Second-1, err))
			require.Equal(t, breaker.Closed, b.State())
			_ = b.Do(t.Context(), takes(time.Minute, context.Canceled))
			require.Equal(t, breaker.Closed, b.State(), "what is ignored is not slow")
			_ = b.Do(t.Context(), takes(time.Hour, err)) // the others are out of the window by then
			require.Equal(t, breaker.Closed, b.State())
			_ = do(b, nil, nil)
			require.Equal(t, breaker.Closed, b.State())
			_ = b.Do(t.Context(), takes(time.Second, err))
			require.Equal(t, breaker.Open, b.State())
			require.Len(t, changes, 1)
			assert.Equal(t, breaker.ReasonSlowRatio, changes[0].Reason)
			assert.Equal(t, int64(2), changes[0].Counts.Slow)
			assert.Equal(t, 0.5, changes[0].Counts.SlowRatio())

			time.Sleep(breaker.DefaultOpenTime)
			_ = b.Do(t.Context(), takes(time.Second, nil))
			assert.Equal(t, breaker.Open, b.State(), "a slow probe has failed")
			time.Sleep(breaker.DefaultOpenTime)
			_ = b.Do(t.Context(), takes(time.Second-1, nil))
			assert.Equal(t, breaker.Closed, b.State())
		}
	})
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	errIgnored := errors.New("ignored")
	const success, failure, neither = 0, 1, -1
	background := t.Context()
	for name, tt := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"success":                         {background, nil, success},
		"unknown":                         {background, errDown, failure},
		"known transient":                 {background, syscall.ECONNREFUSED, failure},
		"retryable":                       {background, resilience.Retryable(errDown), failure},
		"pushback":                        {background, resilience.RetryAfter(errDown, time.Second), failure},
		"permanent":                       {background, resilience.Permanent(errDown), success},
		"refused":                         {background, resilience.Refused(errDown), neither},
		"gave up after retries":           {background, gaveUp(errDown), failure},
		"gave up on an answer":            {background, gaveUp(resilience.Permanent(errDown)), success},
		"gave up on a refusal":            {background, gaveUp(resilience.Refused(errDown)), neither},
		"gave up before an attempt":       {background, gaveUp(nil), neither},
		"gave up, nested":                 {background, fmt.Errorf("client: %w", gaveUp(gaveUp(errDown))), failure},
		"left before its turn":            {background, notSentError{}, neither},
		"cancelled from within":           {background, fmt.Errorf("wrapped: %w", context.Canceled), neither},
		"deadline from within":            {background, context.DeadlineExceeded, failure},
		"ignored":                         {background, fmt.Errorf("wrapped: %w", errIgnored), neither},
		"ignored, though it is transient": {background, errors.Join(errIgnored, syscall.ECONNRESET), neither},
	} {
		b := breaker.MustNew("b", breaker.WithConsecutiveFailures(2), breaker.WithIgnored(resilience.MatchIs(errIgnored)))
		err := b.Do(tt.ctx, returns(tt.err))
		assert.Equal(t, tt.err, err, name)
		counts := b.Counts()
		assert.Equal(t, tt.want != neither, counts.Calls == 1, name)
		assert.Equal(t, tt.want == failure, counts.Failures == 1, name)
	}
}

// gaveUp is the error of a retry whose last attempt came to err.
func gaveUp(err error) error {
	return &retry.Error{Policy: "inner", Attempts: 4, Reason: retry.ErrExhausted, Last: err}
}

// notSentError is that of a call that left a queue.
type notSentError struct{}

func (notSentError) Error() string { return "left before its turn" }
func (notSentError) NotSent() bool { return true }
func (notSentError) Unwrap() error { return context.DeadlineExceeded }

// What the end of the caller's context says depends on when it came and how.
func TestEndOfTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			deadline bool // the context ends by its deadline, during the call
			err      error
			want     breaker.Counts
		}{
			"success of a caller that left":  {false, nil, breaker.Counts{Calls: 1}},
			"the caller left":                {false, errDown, breaker.Counts{}},
			"the caller left, as it looks":   {false, context.Canceled, breaker.Counts{}},
			"no time left":                   {true, context.DeadlineExceeded, breaker.Counts{Calls: 1, Failures: 1, ConsecutiveFailures: 1}},
			"no time left, called cancelled": {true, context.Canceled, breaker.Counts{Calls: 1, Failures: 1, ConsecutiveFailures: 1}},
			"no time left, with an own word": {true, resilience.Permanent(errDown), breaker.Counts{Calls: 1}},
		} {
			b := breaker.MustNew("b")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			assert.Equal(t, tt.err, b.Do(ctx, func(ctx context.Context) error {
				if !tt.deadline {
					cancel()
				}
				<-ctx.Done()
				return tt.err
			}), name)
			assert.Equal(t, tt.want, b.Counts(), name)
			cancel()

			err := b.Do(ctx, func(context.Context) error { t.Error("called"); return nil })
			require.ErrorIs(t, err, ctx.Err(), "a context that is done makes no call")
			assert.Equal(t, tt.want, b.Counts(), name)
		}
	})
}

func TestThreeNotFoundNeverOpen(t *testing.T) {
	t.Parallel()
	errNotFound := resilience.Permanent(errors.New("404"))
	b := breaker.MustNew("b", breaker.WithConsecutiveFailures(1))
	_ = do(b, times(3, errNotFound)...)
	assert.Equal(t, breaker.Closed, b.State())
}

func TestClassification(t *testing.T) {
	t.Parallel()
	classify := func(class resilience.Class) breaker.Option {
		return breaker.WithClassifier(func(error) resilience.Class { return class })
	}
	for name, tt := range map[string]struct {
		option breaker.Option
		err    error
		want   breaker.State
	}{
		"classifier: permanent":  {classify(resilience.ClassPermanent), syscall.ECONNRESET, breaker.Closed},
		"classifier: retryable":  {classify(resilience.ClassRetryable), errDown, breaker.Open},
		"classifier: no opinion": {classify(resilience.ClassUnknown), syscall.ECONNRESET, breaker.Open},
		"classifier: mark first": {classify(resilience.ClassRetryable), resilience.Permanent(errDown), breaker.Closed},
		"unknown: permanent":     {breaker.WithUnknown(resilience.ClassPermanent), errDown, breaker.Closed},
		"unknown: refused":       {breaker.WithUnknown(resilience.ClassRefused), errDown, breaker.Closed},
		"unknown: but known":     {breaker.WithUnknown(resilience.ClassPermanent), syscall.ECONNRESET, breaker.Open},
	} {
		b := breaker.MustNew("b", breaker.WithConsecutiveFailures(1), tt.option)
		_ = do(b, tt.err)
		assert.Equal(t, tt.want, b.State(), name)
	}
}

func TestRejection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(breaker.WithOpenTime(10 * time.Second))
		time.Sleep(7766 * time.Millisecond)
		value, err := breaker.DoValue(t.Context(), b, func(context.Context) (int, error) { t.Error("called"); return 1, nil })
		assert.Zero(t, value)
		var e *breaker.OpenError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, breaker.OpenError{Name: "b", State: breaker.Open, After: 2234 * time.Millisecond}, *e)
		require.ErrorIs(t, err, breaker.ErrOpen)
		require.EqualError(t, err, "b: the circuit breaker is open, try again in 2.3s")
		after, ok := resilience.Pushback(err)
		assert.True(t, ok)
		assert.Equal(t, e.After, after)
		assert.Equal(t, "breaker_open", resilience.ErrorType(err))
		eager := resilience.Rules{Classifier: func(error) resilience.Class { return resilience.ClassRetryable }}
		assert.Equal(t, resilience.ClassRefused, eager.Classify(err), "nothing overrides it")

		b.ForceOpen()
		time.Sleep(time.Hour)
		err = do(b, nil)
		require.EqualError(t, err, "b: the circuit breaker is forced open")
		_, ok = resilience.Pushback(err)
		assert.False(t, ok)
	})
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open()
		time.Sleep(breaker.DefaultOpenTime - 1)
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, breaker.HalfOpen, b.State(), "as the next call would find it")
		require.NoError(t, do(b, nil, nil))
		assert.Equal(t, breaker.HalfOpen, b.State())
		assert.Equal(t, breaker.Counts{Calls: 2}, b.Counts())
		require.NoError(t, do(b, nil))
		assert.Equal(t, breaker.Closed, b.State())
		assert.Zero(t, b.Counts(), "a new start")

		b = open()
		time.Sleep(breaker.DefaultOpenTime)
		assert.Equal(t, errDown, do(b, nil, errDown))
		assert.Equal(t, breaker.Open, b.State(), "one probe that fails is enough")
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
	})
}

// Probes that end as neither success nor failure make room for others.
func TestProbesAreFreed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(breaker.WithProbes(2))
		time.Sleep(breaker.DefaultOpenTime)
		for range 10 {
			first, err := b.Allow(t.Context())
			require.NoError(t, err)
			second, err := b.Allow(t.Context())
			require.NoError(t, err)
			_, err = b.Allow(t.Context())
			require.ErrorIs(t, err, breaker.ErrOpen)
			require.EqualError(t, err, "b: the circuit breaker is half-open and its probes are under way, try again in 5s")
			first.Ignore()
			second.Done(resilience.Refused(errDown))
		}
		for range 10 {
			canceled, cancel := context.WithCancel(t.Context())
			assert.Equal(t, context.Canceled, b.Do(canceled, func(context.Context) error { cancel(); return context.Canceled }))
			require.ErrorIs(t, b.Do(canceled, func(context.Context) error { t.Error("called"); return nil }), context.Canceled,
				"a dead context is no probe")
		}
		require.NoError(t, do(b, nil, nil))
		assert.Equal(t, breaker.Closed, b.State())
	})
}

// A result counts once, and only in the state that let its call pass.
func TestLateResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew("b", breaker.WithConsecutiveFailures(1), breaker.WithProbes(1))
		allow := func() breaker.Permit {
			p, err := b.Allow(t.Context())
			require.NoError(t, err)
			return p
		}
		closed, other, ignored := allow(), allow(), allow()
		closed.Done(errDown)
		require.Equal(t, breaker.Open, b.State())
		time.Sleep(breaker.DefaultOpenTime)
		probe := allow()
		other.Done(errDown)
		ignored.Ignore()
		assert.Equal(t, breaker.HalfOpen, b.State())
		_, err := b.Allow(t.Context())
		require.ErrorIs(t, err, breaker.ErrOpen, "a call of another state frees no probe")
		probe.Done(nil)
		probe.Done(errDown)
		probe.Ignore()
		assert.Equal(t, breaker.Closed, b.State())
		assert.Zero(t, b.Counts())
	})
}

func TestProbesThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(breaker.WithProbes(1), breaker.WithProbeTimeout(10*time.Second))
		time.Sleep(time.Hour)
		hangs, err := b.Allow(t.Context())
		require.NoError(t, err)
		time.Sleep(10*time.Second - 1)
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
		assert.Equal(t, breaker.HalfOpen, b.State())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, breaker.Open, b.State(), "as the next call would find it")
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
		assert.Equal(t, breaker.Open, b.State())
		time.Sleep(breaker.DefaultOpenTime)
		require.NoError(t, do(b, nil))
		assert.Equal(t, breaker.Closed, b.State())
		hangs.Done(errDown)
		assert.Equal(t, breaker.Closed, b.State())

		b = open(breaker.WithProbes(1), breaker.WithProbeTimeout(0))
		time.Sleep(time.Hour)
		_, err = b.Allow(t.Context())
		require.NoError(t, err)
		time.Sleep(24 * time.Hour)
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
		assert.Equal(t, breaker.HalfOpen, b.State())
	})
}

func TestOpenTimeBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var openFor []time.Duration
		b := open(breaker.WithOpenBackoff(backoff.Exponential{Initial: time.Second, Max: 5 * time.Second, Jitter: backoff.NoJitter}),
			breaker.WithProbes(1), breaker.WithOnStateChange(func(c breaker.Change) {
				if c.To == breaker.Open {
					openFor = append(openFor, c.OpenFor)
				}
			}))
		for range 4 {
			time.Sleep(openFor[len(openFor)-1])
			require.Equal(t, errDown, do(b, errDown))
		}
		time.Sleep(5 * time.Second)
		require.NoError(t, do(b, nil))
		_ = do(b, errDown)
		s := time.Second
		assert.Equal(t, []time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s, s}, openFor, "it begins anew after it was closed")
	})
}

func TestForced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := breaker.MustNew("b", breaker.WithConsecutiveFailures(3), breaker.WithOnStateChange(func(c breaker.Change) {
			changes = append(changes, fmt.Sprintf("%v>%v %s %d", c.From, c.To, c.Reason, c.Counts.Calls))
		}))
		_ = do(b, errDown, errDown)
		b.Reset()
		assert.Zero(t, b.Counts())
		_ = do(b, errDown, errDown)
		assert.Equal(t, breaker.Closed, b.State())
		b.Disable()
		b.Disable()
		assert.Equal(t, errDown, do(b, times(100, errDown)...))
		b.ForceOpen()
		b.ForceOpen()
		require.ErrorIs(t, do(b, nil), breaker.ErrOpen)
		b.Reset()
		require.NoError(t, do(b, nil))
		assert.Equal(t, []string{
			"closed>disabled forced 2", "disabled>forced_open forced 0", "forced_open>closed forced 0",
		}, changes)
	})
}

// The hook may call the breaker, and is told of everything in order.
func TestHookMayCallTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		var changes []string
		b = breaker.MustNew("b", breaker.WithConsecutiveFailures(1), breaker.WithOnStateChange(func(c breaker.Change) {
			changes = append(changes, c.From.String()+">"+c.To.String())
			switch c.To {
			case breaker.Open:
				_ = b.State()
				_ = do(b, nil)
				b.ForceOpen()
				changes = append(changes, "still the first")
			case breaker.ForcedOpen:
				b.Reset()
			}
		}))
		_ = do(b, errDown)
		assert.Equal(t, []string{"closed>open", "still the first", "open>forced_open", "forced_open>closed"}, changes)
		assert.Equal(t, breaker.Closed, b.State())
	})
}

func TestPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(breaker.WithProbes(1))
		time.Sleep(breaker.DefaultOpenTime)
		assert.PanicsWithValue(t, "boom", func() { _ = b.Do(t.Context(), func(context.Context) error { panic("boom") }) })
		assert.Equal(t, breaker.Open, b.State(), "a panic is a failure")
		time.Sleep(breaker.DefaultOpenTime)
		left := make(chan struct{})
		go func() {
			defer close(left)
			_ = b.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-left
		assert.Equal(t, breaker.Open, b.State())
		time.Sleep(breaker.DefaultOpenTime)
		require.NoError(t, do(b, nil), "no probe was lost")

		calls := 0
		b = breaker.MustNew("b", breaker.WithConsecutiveFailures(1), breaker.WithOnStateChange(func(breaker.Change) {
			if calls++; calls == 1 {
				panic("hook")
			}
		}))
		assert.PanicsWithValue(t, "hook", func() { _ = do(b, errDown) })
		assert.Equal(t, breaker.Open, b.State())
		b.Reset()
		assert.Equal(t, 2, calls, "it is told of the next one")
	})
}

func TestSignals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := signaltest.New()
		b := breaker.MustNew("b", breaker.WithConsecutiveFailures(2), breaker.WithProbes(1), breaker.WithTelemetry(signals.Options()...))
		metric := func(name string) map[string]float64 { return signals.Metric(t, name) }
		state := func(in string) map[string]float64 {
			all := map[string]float64{"b closed": 0, "b open": 0, "b half_open": 0, "b forced_open": 0, "b disabled": 0}
			for key := range all {
				if key == "b "+in {
					all[key] = 1
				}
			}
			return all
		}
		key := func(m map[string]float64) map[string]float64 { // state before name
			turned := map[string]float64{}
			for _, s := range []string{"closed", "open", "half_open", "forced_open", "disabled"} {
				turned["b "+s] = m[s+" b"]
			}
			return turned
		}
		assert.Equal(t, state("closed"), key(metric(telemetry.MetricBreakerState)), "from the first export on")
		assert.Len(t, metric(telemetry.MetricBreakerTransitions), 5)
		assert.Equal(t, map[string]float64{"b success": 0, "b failure": 0, "b ignored": 0, "b rejected": 0}, metric(telemetry.MetricBreakerCalls))
		assert.Equal(t, map[string]float64{"b": 0}, metric(telemetry.MetricBreakerFailureRatio))

		events := signals.Span(t.Context(), func(ctx context.Context) {
			for _, err := range []error{nil, errDown, resilience.Permanent(errDown), resilience.Refused(errDown), errDown} {
				_ = b.Do(ctx, returns(err))
			}
			assert.Equal(t, map[string]float64{"b": 0.5}, metric(telemetry.MetricBreakerFailureRatio))
			_ = b.Do(ctx, returns(errDown))
			_ = b.Do(ctx, returns(nil))
			assert.Equal(t, state("open"), key(metric(telemetry.MetricBreakerState)))
			time.Sleep(breaker.DefaultOpenTime)
			assert.Equal(t, state("half_open"), key(metric(telemetry.MetricBreakerState)))
			_ = b.Do(ctx, returns(nil))
		})
		assert.Equal(t, map[string]float64{"b success": 3, "b failure": 3, "b ignored": 1, "b rejected": 1}, metric(telemetry.MetricBreakerCalls))
		assert.Equal(t, map[string]float64{"b closed": 1, "b open": 1, "b half_open": 1, "b forced_open": 0, "b disabled": 0},
			key(metric(telemetry.MetricBreakerTransitions)))
		require.Equal(t, []string{
			telemetry.EventBreakerStateChanged, telemetry.EventCallRejected, telemetry.EventBreakerStateChanged, telemetry.EventBreakerStateChanged,
		}, signaltest.Names(events))
		opened, rejected := events[0].Attributes, events[1].Attributes
		assert.Equal(t, "closed", opened[telemetry.AttrBreakerPrevious])
		assert.Equal(t, "open", opened[telemetry.AttrBreakerState])
		assert.Equal(t, "consecutive_failures", opened[telemetry.AttrBreakerReason])
		assert.Equal(t, int64(5), opened[telemetry.AttrBreakerCalls])
		assert.Equal(t, int64(3), opened[telemetry.AttrBreakerFailures])
		assert.Equal(t, 5.0, opened[telemetry.AttrBreakerOpenFor])
		assert.Equal(t, "open", rejected[telemetry.AttrRejectionReason])
		assert.Equal(t, 5.0, rejected[telemetry.AttrRetryAfter])
		assert.Equal(t, "breaker", rejected[telemetry.AttrPolicyKind])
		lines := signals.Lines()
		require.Len(t, lines, 4)
		assert.Contains(t, lines[0], `level=WARN msg="b: The breaker went from closed to open (consecutive_failures): 3 of 5 calls failed, 0 were slow"`)
		assert.Contains(t, lines[1], `level=DEBUG msg="b: Rejected by a circuit breaker (open). Not before 5.00s"`)
		assert.Contains(t, lines[3], "level=INFO")

		b.ForceOpen()
		_ = do(b, nil)
		assert.Equal(t, state("forced_open"), key(metric(telemetry.MetricBreakerState)))
		b.Disable()
		assert.Equal(t, state("disabled"), key(metric(telemetry.MetricBreakerState)))
		b.Warn(t.Context(), resilience.Problem{Reason: resilience.BreakerOutsideRetry})
		assert.Equal(t, map[string]float64{"breaker_outside_retry b": 1}, metric(telemetry.MetricCompositionWarnings))
	})
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, option := range map[string]breaker.Option{
		"time window":  nil,
		"count window": breaker.WithCountWindow(100),
		"slow calls":   breaker.WithSlowRatio(0.5, time.Hour),
	} {
		b := breaker.MustNew("b", option, breaker.WithTelemetry(signaltest.New().Metrics()...))
		_ = do(b, nil)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if v, err := breaker.DoValue(t.Context(), b, func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
				t.Error("another result")
			}
		}), name)
	}
	forced := breaker.MustNew("b")
	forced.ForceOpen()
	assert.Equal(t, 1.0, testing.AllocsPerRun(100, func() {
		_, _ = breaker.DoValue(t.Context(), forced, func(context.Context) (int, error) { return 1, nil })
	}), "a rejection is an error and no more")
}
