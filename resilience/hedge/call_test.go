package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var (
	errPlain     = errors.New("plain")
	errTransient = resilience.Retryable(errors.New("transient"))
	errPermanent = resilience.Permanent(errors.New("permanent"))
	errRefused   = resilience.Refused(errors.New("refused"))
	errGone      = errors.New("the caller has gone")
	errExit      = errors.New("stands for a runtime.Goexit")
	errPanic     = errors.New("stands for a panic")
)

const second = time.Second

// A run is what one copy does: it ends after a time, or when its context does.
type run struct {
	takes time.Duration
	err   error
	deaf  bool // it does not listen to its context
}

// A way is a call that goes a certain way.
type way struct {
	name   string
	opts   []hedge.Option // beside a delay of one second
	grants int            // of a budget, if not 0; -1 is none
	runs   []run          // of the copies in their order
	cancel time.Duration  // when the caller cancels, or 0
	forbid bool           // under NoRetry

	took   time.Duration
	winner int // the copy whose value is returned, or 0
	err    error
	wraps  []error // in place of err
	counts map[string]float64
	events []signaltest.Event
	lost   []int // copies whose values are discarded in the end, in that order
}

func (w *way) op(t *testing.T, began time.Time, started *atomic.Int32) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		number := 1
		if a := resilience.AttemptFrom(ctx); a != nil {
			number = a.Number
			assert.Equal(t, "h", a.Policy)
			assert.Nil(t, a.Outer)
		}
		assert.EqualValues(t, started.Add(1), number)
		assert.Equal(t, time.Duration(number-1)*second, time.Since(began), "%s: copy %d", w.name, number)
		r := w.runs[number-1]
		if r.deaf {
			time.Sleep(r.takes)
		} else {
			select {
			case <-time.After(r.takes):
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		switch r.err {
		case errPanic:
			panic(fmt.Sprint("copy ", number))
		case errExit:
			runtime.Goexit()
		}
		return fmt.Sprint("copy ", number), r.err
	}
}

func ways() []way {
	three := []hedge.Option{hedge.WithMaxCopies(3)}
	sent1, sent2 := map[string]float64{hedgeCopies + "sent": 1}, map[string]float64{hedgeCopies + "sent": 2}
	denied1, both := map[string]float64{hedgeCopies + "denied": 1}, map[string]float64{hedgeCopies + "denied": 1, hedgeCopies + "sent": 1}
	panicked1 := map[string]float64{hedgeCopies + "sent": 1, hedgeCopies + "panicked": 1}
	and := func(counts map[string]float64, result string) map[string]float64 {
		all := map[string]float64{hedgeCalls + result: 1, hedgeDelay: 1}
		maps.Copy(all, counts)
		return all
	}
	event := func(name string, attributes map[attribute.Key]any) signaltest.Event {
		all := map[attribute.Key]any{telemetry.AttrPolicyName: "h", telemetry.AttrPolicyKind: "hedge"}
		maps.Copy(all, attributes)
		return signaltest.Event{Name: name, Attributes: all}
	}
	sent := func(number int64) signaltest.Event {
		return event(telemetry.EventHedgeSent, map[attribute.Key]any{telemetry.AttrHedgeCopy: number, telemetry.AttrHedgeDelay: 1.0})
	}
	won := func(number int64) signaltest.Event {
		return event(telemetry.EventHedgeWon, map[attribute.Key]any{telemetry.AttrHedgeCopy: number})
	}
	denied := event(telemetry.EventHedgeDenied, nil)
	panicked := event(telemetry.EventHedgePanicked,
		map[attribute.Key]any{telemetry.AttrHedgeCopy: int64(1), telemetry.AttrErrorMessage: "copy 1"})
	ms := time.Millisecond
	return []way{
		{name: "the first is fast", runs: []run{{takes: 900 * ms}}, took: 900 * ms, winner: 1, counts: and(nil, "primary")},
		{
			name: "the first wins late", runs: []run{{takes: 1500 * ms}, {takes: 9 * second}},
			took: 1500 * ms, winner: 1, counts: and(sent1, "primary"), events: []signaltest.Event{sent(2)},
		},
		{
			name: "the second wins", runs: []run{{takes: 9 * second}, {takes: 100 * ms}},
			took: 1100 * ms, winner: 2, counts: and(sent1, "hedge"), events: []signaltest.Event{sent(2), won(2)},
		},
		{
			name: "the third wins", opts: three, runs: []run{{takes: 9 * second}, {takes: 9 * second}, {takes: 100 * ms}},
			took: 2100 * ms, winner: 3, counts: and(sent2, "hedge"), events: []signaltest.Event{sent(2), sent(3), won(3)},
		},
		{
			name: "losers that do not listen are discarded", opts: three,
			runs: []run{{takes: 9 * second, deaf: true}, {takes: 3 * second, deaf: true}, {takes: 100 * ms}},
			took: 2100 * ms, winner: 3, counts: and(sent2, "hedge"), events: []signaltest.Event{sent(2), sent(3), won(3)}, lost: []int{2, 1},
		},
		{
			name: "losers that fail late are not", opts: three,
			runs: []run{{takes: 9 * second, deaf: true, err: errPlain}, {takes: 9 * second, deaf: true, err: errPermanent}, {}},
			took: 2 * second, winner: 3, counts: and(sent2, "hedge"), events: []signaltest.Event{sent(2), sent(3), won(3)},
		},
		{
			name: "the first fails before the delay", runs: []run{{takes: 10 * ms, err: errTransient}},
			took: 10 * ms, winner: 1, err: errTransient, counts: and(nil, "failed"),
		},
		{
			name: "the first is refused", runs: []run{{takes: 10 * ms, err: errRefused}},
			took: 10 * ms, winner: 1, err: errRefused, counts: and(nil, "failed"),
		},
		{
			name: "a permanent failure decides", runs: []run{{takes: 9 * second, deaf: true}, {takes: 10 * ms, err: errPermanent}},
			took: 1010 * ms, winner: 2, err: errPermanent, counts: and(sent1, "hedge"), events: []signaltest.Event{sent(2), won(2)}, lost: []int{1},
		},
		{
			name: "a permanent failure of the first decides", runs: []run{{takes: 2 * second, err: errPermanent}, {takes: 9 * second}},
			took: 2 * second, winner: 1, err: errPermanent, counts: and(sent1, "primary"), events: []signaltest.Event{sent(2)},
		},
		{
			name: "a classifier makes one permanent",
			opts: []hedge.Option{hedge.WithClassifier(func(error) resilience.Class { return resilience.ClassPermanent })},
			runs: []run{{takes: 9 * second}, {takes: 10 * ms, err: errPlain}},
			took: 1010 * ms, winner: 2, err: errPlain, counts: and(sent1, "hedge"), events: []signaltest.Event{sent(2), won(2)},
		},
		{
			name: "other failures wait for those that run", opts: three,
			runs: []run{{takes: 1500 * ms, err: errTransient}, {takes: 2 * second, err: errRefused}, {takes: 2 * second}},
			took: 4 * second, winner: 3, counts: and(sent2, "hedge"), events: []signaltest.Event{sent(2), sent(3), won(3)},
		},
		{
			name: "the last failure is returned", opts: three,
			runs: []run{{takes: 8 * second, err: errPlain}, {takes: 2 * second, err: errRefused}, {takes: 2 * second, err: errTransient}},
			took: 8 * second, winner: 1, err: errPlain, counts: and(sent2, "failed"), events: []signaltest.Event{sent(2), sent(3)},
		},
		{
			name: "a failure starts no copy", opts: three,
			runs: []run{{takes: 1200 * ms, err: errTransient}, {takes: 300 * ms, err: errTransient}},
			took: 1300 * ms, winner: 2, err: errTransient, counts: and(sent1, "failed"), events: []signaltest.Event{sent(2)},
		},
		{
			name: "the budget denies", grants: -1, opts: three, runs: []run{{takes: 9 * second}},
			took: 9 * second, winner: 1, counts: and(denied1, "primary"), events: []signaltest.Event{denied},
		},
		{
			name: "the budget grants one", grants: 1, opts: three, runs: []run{{takes: 9 * second}, {takes: 4 * second}},
			took: 5 * second, winner: 2, counts: and(both, "hedge"), events: []signaltest.Event{sent(2), denied, won(2)},
		},
		{
			name: "the caller cancels during the first", cancel: 500 * ms, runs: []run{{takes: 9 * second, deaf: true}},
			took: 500 * ms, wraps: []error{errGone, context.Canceled}, counts: and(nil, "canceled"), lost: []int{1},
		},
		{
			name: "the caller cancels during the second", cancel: 1500 * ms, runs: []run{{takes: 9 * second}, {takes: 2 * second, deaf: true}},
			took: 1500 * ms, wraps: []error{errGone, context.Canceled},
			counts: and(sent1, "canceled"), events: []signaltest.Event{sent(2)}, lost: []int{2},
		},
		{
			name: "the caller cancels after one has failed", cancel: 1500 * ms,
			runs: []run{{takes: 1200 * ms, err: errTransient}, {takes: 9 * second, deaf: true, err: errPlain}},
			took: 1500 * ms, winner: 1, wraps: []error{errGone, context.Canceled, errTransient},
			counts: and(sent1, "canceled"), events: []signaltest.Event{sent(2)},
		},
		{
			name: "Goexit is a failure", runs: []run{{takes: 1500 * ms, err: errExit}, {takes: 9 * second}},
			took: 10 * second, winner: 2, counts: and(sent1, "hedge"), events: []signaltest.Event{sent(2), won(2)},
		},
		{
			name: "a loser panics", runs: []run{{takes: 9 * second, deaf: true, err: errPanic}, {}},
			took: second, winner: 2, counts: and(panicked1, "hedge"), events: []signaltest.Event{sent(2), won(2), panicked},
		},
		{
			name: "a loser leaves its goroutine", runs: []run{{takes: 9 * second, deaf: true, err: errExit}, {}},
			took: second, winner: 2, counts: and(sent1, "hedge"), events: []signaltest.Event{sent(2), won(2)},
		},
		{name: "no retry", forbid: true, grants: 5, runs: []run{{takes: 9 * second}}, took: 9 * second, winner: 1, counts: and(nil, "primary")},
		{name: "no retry, failed", forbid: true, runs: []run{{err: errPlain}}, winner: 1, err: errPlain, counts: and(nil, "failed")},
		{name: "no retry, permanent", forbid: true, runs: []run{{err: errPermanent}}, winner: 1, err: errPermanent, counts: and(nil, "primary")},
		{
			name: "no retry, canceled", forbid: true, cancel: 500 * ms, runs: []run{{takes: 9 * second}},
			took: 500 * ms, err: errGone, counts: and(nil, "canceled"),
		},
	}
}

// Every way that a call can go: what is returned and when, what is discarded, what
// telemetry shows and what the budget was asked.
func TestWays(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				signals := signaltest.New()
				opts := append([]hedge.Option{hedge.WithTelemetry(signals.Metrics()...), hedge.WithDelay(second)}, w.opts...)
				budget := &fakeBudget{grants: int64(max(w.grants, 0))}
				if w.grants != 0 {
					opts = append(opts, hedge.WithBudget(budget))
				}
				h := hedge.MustNew("h", opts...)
				ctx, cancel := context.WithCancelCause(t.Context())
				if w.forbid {
					ctx = resilience.NoRetry(ctx)
				}
				if w.cancel > 0 {
					time.AfterFunc(w.cancel, func() { cancel(errGone) })
				}
				var mu sync.Mutex
				var lost []int
				var started atomic.Int32
				var value string
				var err error
				began := time.Now()
				events := signals.Span(ctx, func(ctx context.Context) {
					value, err = hedge.DoValue(ctx, h, w.op(t, began, &started), func(value string) {
						var number int
						_, scanned := fmt.Sscanf(value, "copy %d", &number)
						assert.NoError(t, scanned)
						mu.Lock()
						defer mu.Unlock()
						lost = append(lost, number)
					})
					assert.Equal(t, w.took, time.Since(began))
					if w.cancel == 0 {
						soFar := maps.Clone(w.counts)
						delete(soFar, hedgeCopies+"panicked") // that is still to come
						assert.Equal(t, soFar, signals.All(t))
					}
					time.Sleep(time.Minute) // copies that lost come to their end
					synctest.Wait()
				})
				if w.winner == 0 {
					assert.Empty(t, value)
				} else {
					assert.Equal(t, fmt.Sprint("copy ", w.winner), value)
				}
				if w.wraps == nil {
					assert.Equal(t, w.err, err)
				}
				for _, wrapped := range w.wraps {
					assert.ErrorIs(t, err, wrapped)
				}
				assert.EqualValues(t, len(w.runs), started.Load())
				assert.Equal(t, w.lost, lost)
				assert.Equal(t, w.counts, signals.All(t))
				assert.Equal(t, w.events, events)
				if w.grants != 0 {
					assert.EqualValues(t, 1, budget.deposits.Load())
					assert.EqualValues(t, started.Load()-1, budget.withdrawn.Load()-budget.denied.Load())
					assert.Zero(t, budget.refunds.Load())
				}
				cancel(nil)
			})
		})
	}
}
