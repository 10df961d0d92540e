package retry

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Poll calls op until it reports that it is done, and returns the value of the last
// call. Between the calls it waits as long as p would before a retry, from the initial
// delay on, for any number of calls. The context ends it, and so does MaxElapsed, which
// bounds the time up to the last wait, and each call of op for itself.
//
// "Not done yet" is no failure: it draws on no budget and counts as a success. An
// error of op is one: each call of op is a call of p, which retries it as it would any
// other, and the first one that p cannot recover from ends the polling with its error. If there
// is no time for another wait the result is an [*Error] with the reason and
// [ErrNotDone], and an event says so. Waits grow up to MaxDelay: set that to how late you
// may learn that it is done.
//
// A nil p polls with the delays of the default Config and retries nothing.
func Poll[T any](ctx context.Context, p *Policy, op func(context.Context) (value T, done bool, err error)) (T, error) {
	var zero T
	switch {
	case op == nil:
		return zero, errNoOperation
	case ctx == nil:
		return zero, errNoContext
	}
	w := newPolling(p)
	defer w.timer.Stop()
	for {
		done := false
		value, err := DoValue(ctx, p, func(ctx context.Context) (value T, err error) {
			value, done, err = op(ctx)
			return value, err
		})
		if err != nil || done {
			return value, err
		}
		if err := w.wait(ctx); err != nil {
			return value, err
		}
	}
}

// polling is the state of a Poll between its calls.
type polling struct {
	name  string
	tel   *telemetry.Retry
	rules *rules
	clock clock.Clock
	began time.Time
	calls int // made
	delay time.Duration
	timer clock.Timer
}

func newPolling(p *Policy) *polling {
	w := &polling{}
	if p != nil {
		w.name, w.tel, w.rules, w.clock = p.name, p.tel, p.shared.rules.Load(), p.shared.clock
	} else {
		w.rules = newRules(Config{}, nil)
	}
	w.began = clock.Now(w.clock)
	return w
}

// wait waits for the next call, or returns why there is to be none.
func (w *polling) wait(ctx context.Context) error {
	w.delay = max(0, w.rules.backoff.Delay(w.calls, w.delay, clock.Random(w.clock)))
	w.calls++
	stop := w.rules.timeStop(ctx, clock.Now(w.clock), w.began, w.delay)
	if stop == nil {
		if err := w.timer.Wait(ctx, w.clock, w.delay); err != nil {
			stop = stopOf(err)
		}
	}
	if stop == nil {
		return nil
	}
	w.tel.PollStopped(ctx, &telemetry.RetryEnd{Outcome: stop.outcome, Reason: stop.name, Attempts: w.calls})
	return &Error{
		Policy: w.name, Attempts: w.calls, Elapsed: clock.Since(w.clock, w.began),
		Reason: stop.err, Last: ErrNotDone, Cause: context.Cause(ctx), polled: true,
	}
}
