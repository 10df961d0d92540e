package retry

import (
	"context"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// call is one call of a policy. It lives on the stack of its goroutine. Its loop is
//
//	for more := c.begin(ctx, p, rules); more; more = c.next(err) {
//		value, err = op(c.attempt)
//	}
//
// after which c.err is what the caller gets. close must be deferred.
type call struct {
	policy *Policy
	rules  *rules
	tel    telemetry.RetryCall
	ctx    context.Context // of the call
	err    error           // the result, once the call has ended

	attempt  context.Context // of the attempt
	attempts int             // begun so far
	running  bool            // an attempt was begun and has not been told of
	finished bool
	release  func() bool // ends the attempt's timeout; reports whether it had passed

	last     telemetry.Failure
	delay    time.Duration // the latest
	history  history
	reserved bool // a retry was granted by the budget and not sent yet
	timer    clock.Timer

	began    time.Time // if somebody asks for it
	latest   time.Time // when the latest attempt began, if somebody asks for it
	firstEnd time.Time // of the first attempt, if another followed
}

// begin starts a call and reports whether an attempt is to be made.
func (c *call) begin(ctx context.Context, p *Policy, r *rules) bool {
	c.policy, c.rules = p, r
	if ctx.Err() == nil {
		p.deposit()
	}
	timed := r.MaxElapsed > 0 || p.tel.Times(ctx)
	c.ctx, c.tel = p.tel.Begin(ctx, r.max)
	if timed {
		c.began = c.now()
		c.latest = c.began
	}
	if stop := contextStop(c.ctx); stop != nil {
		notStarted := *stop
		notStarted.outcome = telemetry.OutcomeNotStarted
		return c.giveUp(&notStarted)
	}
	return c.startAttempt()
}

// resume takes over a call whose first attempt was made without c and failed with err,
// and reports whether another attempt is to be made.
func (c *call) resume(ctx context.Context, p *Policy, r *rules, err error) bool {
	c.policy, c.rules = p, r
	c.ctx, c.tel = p.tel.Begin(ctx, r.max)
	c.attempts, c.running = 1, true
	return c.next(err)
}

// startAttempt begins the next attempt.
func (c *call) startAttempt() bool {
	c.attempts++
	ctx := c.ctx
	if c.attempts > 1 {
		ctx = resilience.WithAttempt(ctx, resilience.Attempt{
			Policy: c.policy.name, Number: c.attempts, Max: c.rules.max,
		})
		c.latest = time.Time{}
		if c.tel.Records() {
			c.latest = c.now()
		}
	}
	ctx = c.tel.AttemptStarted(ctx, c.attempts)
	if c.rules.AttemptTimeout > 0 {
		ctx = c.withTimeout(ctx)
	}
	c.attempt = ctx
	c.running = true
	return true
}

// withTimeout puts the attempt under its timeout.
func (c *call) withTimeout(ctx context.Context) context.Context {
	limited, cancel := clock.WithTimeoutCause(ctx, c.policy.shared.clock, c.rules.AttemptTimeout, c.rules.timeout)
	scoped, end := resilience.Scope(c.ctx, limited)
	c.release = func() bool {
		timedOut := limited.Err() != nil
		end()
		cancel()
		return timedOut
	}
	return scoped
}

// next notes that the attempt returned err, and reports whether another one is to be
// made. When it returns true the wait before that one is over.
func (c *call) next(err error) bool {
	if err == nil {
		c.endTimeout()
		c.running = false
		c.policy.observeSuccess()
		c.tel.AttemptSucceeded(c.attempts)
		outcome := telemetry.OutcomeSuccess
		if c.attempts > 1 {
			outcome = telemetry.OutcomeSuccessAfterRetry
		}
		return c.finish(nil, &telemetry.RetryEnd{Outcome: outcome})
	}
	class := c.failed(err)
	c.refundUnsent(err)
	if stop := contextStop(c.ctx); stop != nil && (class <= resilience.ClassRetryable || c.causedByContext(err)) {
		return c.giveUp(stop)
	}
	switch class {
	case resilience.ClassRetryable:
	case resilience.ClassPermanent:
		return c.pass(telemetry.OutcomeNotRetryable)
	case resilience.ClassRefused:
		return c.pass(telemetry.OutcomeRefused)
	default:
		return c.pass(telemetry.OutcomeUnclassified)
	}
	if !resilience.MayRetry(c.ctx) {
		// Whoever forbade it may want to retry by itself, so this is no refusal.
		return c.finish(err, &telemetry.RetryEnd{Outcome: telemetry.OutcomeRefused, Reason: noRetryReason(c.ctx)})
	}
	if stop := c.waitForRetry(); stop != nil {
		return c.giveUp(stop)
	}
	return c.startAttempt()
}

// endTimeout ends the attempt's timeout, and reports whether it had passed.
func (c *call) endTimeout() (timedOut bool) {
	if c.release != nil {
		timedOut = c.release()
		c.release = nil
	}
	return timedOut
}

// failed notes that the attempt failed with err, and returns the class of that.
func (c *call) failed(err error) resilience.Class {
	timedOut := c.endTimeout()
	classes := &c.policy.shared.classes
	class, errorType := classes.Classify(err), ""
	if c.policy.tel != nil { // nobody else asks for it
		errorType = resilience.ErrorType(err)
	}
	if timedOut && class != resilience.ClassRetryable && c.ctx.Err() == nil {
		// Our timeout made the operation fail. Unless somebody has an opinion on the
		// error itself, it is a timeout, whatever the operation calls it.
		knowing := *classes
		knowing.WithoutKnown, knowing.Unknown = true, resilience.ClassRetryable
		if class = knowing.Classify(err); class == resilience.ClassRetryable {
			errorType = "timeout"
		}
	}
	if b := c.policy.shared.learns; b != nil && asked(err) {
		switch ended := c.ctx.Err(); {
		case ended == nil:
			b.Observe(class, resilience.Throttled(err))
		case !is(ended, context.Canceled) && c.causedByContext(err):
			b.Observe(resilience.ClassRetryable, false) // the time was over, whatever it is called
		}
	}
	c.last = telemetry.Failure{Number: c.attempts, Err: err, ErrorType: errorType}
	if c.tel.Records() {
		c.last.Began, c.last.Ended = c.latest, c.now()
	}
	c.history.add(Failure{Attempt: c.attempts, Err: err})
	c.running = false
	c.tel.AttemptFailed(&c.last)
	return class
}

// waitForRetry waits for the next attempt, or returns why there is to be none.
func (c *call) waitForRetry() *stop {
	s := c.policy.shared
	if c.attempts >= c.rules.max {
		return stopExhausted
	}
	delay, pushback := resilience.Pushback(c.last.Err)
	if !pushback {
		delay = max(0, c.rules.backoff.Delay(c.attempts-1, c.delay, clock.Random(s.clock)))
	} else if delay > c.rules.pushbackLimit() {
		return stopPushback
	}
	now := c.now()
	if c.attempts == 1 {
		c.firstEnd = now
	}
	if stop := c.rules.timeStop(c.ctx, now, c.began, delay); stop != nil {
		return stop
	}
	if s.budget != nil {
		if !s.budget.Withdraw() {
			return stopBudget
		}
		c.reserved = true
	}
	c.delay = delay
	c.history.setDelay(c.attempts, delay)
	c.policy.warnOfOuter(c.ctx)
	c.tel.RetryScheduled(&c.last, delay, pushback)
	err := c.timer.Wait(c.ctx, s.clock, delay)
	if err == nil && s.onRetry != nil {
		s.onRetry(c.ctx, Retry{
			Policy: c.policy.name, Attempt: c.attempts + 1, Max: c.rules.max, Delay: delay, Err: c.last.Err,
		})
		err = c.ctx.Err() // which the hook may have ended, or outlasted
	}
	if err != nil {
		c.history.setDelay(c.attempts, 0)
		c.refund()
		return stopOf(err)
	}
	c.reserved = false
	c.tel.RetrySent(delay)
	return nil
}

// timeStop returns the stop that a wait of delay from now on would run into, or nil.
func (r *rules) timeStop(ctx context.Context, now, began time.Time, delay time.Duration) *stop {
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now) <= delay {
		return stopDeadline
	}
	if r.MaxElapsed > 0 && now.Sub(began) > r.MaxElapsed-delay {
		return stopMaxElapsed
	}
	return nil
}

// contextStop returns the stop that the state of the context demands, or nil.
func contextStop(ctx context.Context) *stop {
	if err := ctx.Err(); err != nil {
		return stopOf(err)
	}
	return nil
}

// stopOf returns the stop that the error of a context demands.
func stopOf(err error) *stop {
	if is(err, context.DeadlineExceeded) {
		return stopDeadline
	}
	return stopCanceled
}

// causedByContext reports whether err is what the end of the context looks like.
func (c *call) causedByContext(err error) bool {
	return is(err, c.ctx.Err()) || is(err, context.Cause(c.ctx))
}

// pass ends the call with the operation's own error.
func (c *call) pass(outcome telemetry.Outcome) bool {
	return c.finish(c.last.Err, &telemetry.RetryEnd{Outcome: outcome})
}

// giveUp ends the call although it would go on.
func (c *call) giveUp(stop *stop) bool {
	err := &Error{
		Policy: c.policy.name, Attempts: c.attempts, Reason: stop.err, Last: c.last.Err,
		Cause: context.Cause(c.ctx), history: c.history,
	}
	end := telemetry.RetryEnd{Outcome: stop.outcome, Reason: stop.name}
	if stop == stopBudget {
		err.budget = budgetName(c.policy.shared.budget)
		end.Budget = err.budget
	}
	more := c.finish(err, &end)
	err.Elapsed = end.Latency
	if err.Refused() {
		resilience.NoteGaveUp(c.ctx)
	}
	return more
}

// budgetName returns the name of a budget, or "" if it has none.
func budgetName(b resilience.Budget) string {
	if named, ok := b.(interface{ Name() string }); ok {
		return named.Name()
	}
	return ""
}

// noRetryReason tells whose retries the context leaves it to.
func noRetryReason(ctx context.Context) string {
	if outer := resilience.AttemptFrom(ctx); outer != nil && outer.Remote {
		return telemetry.ReasonRemoteRetries
	}
	return "no_retry"
}

// finish ends the call with err. It returns false: there is no next attempt.
func (c *call) finish(err error, end *telemetry.RetryEnd) bool {
	c.err, c.finished = err, true
	end.Attempts = c.attempts
	end.Nested = err != nil && (resilience.AttemptFrom(c.ctx) != nil || isNested(c.last.Err))
	if end.Nested && c.rules.max > 1 {
		c.policy.warnOfInner(c.ctx, c.last.Err)
	}
	if s := c.policy.shared; c.policy.tel != nil || err != nil {
		if end.Timed = !c.began.IsZero(); end.Timed {
			end.Duration = clock.Since(s.clock, c.began)
		}
		if !c.firstEnd.IsZero() {
			end.Latency = clock.Since(s.clock, c.firstEnd)
		}
	}
	if end.Outcome != telemetry.OutcomeSuccess && c.tel.Records() {
		end.Began, end.Ended = c.latest, c.now()
	}
	var last *telemetry.Failure
	if err != nil && c.attempts > 0 {
		last = &c.last
	}
	c.tel.End(end, last)
	return false
}

// close frees what the call holds. If the call has not finished, the operation or a
// function of the user's panicked, or left the goroutine.
func (c *call) close() {
	c.timer.Stop()
	if c.finished {
		return
	}
	c.refund()
	if c.release != nil {
		c.release()
	}
	if c.running {
		c.tel.AttemptPanicked(c.attempts)
	}
	c.finish(nil, &telemetry.RetryEnd{Outcome: telemetry.OutcomePanic})
}

// refund gives back a retry that was granted and not sent.
func (c *call) refund() {
	if c.reserved {
		c.reserved = false
		c.policy.shared.budget.Refund()
	}
}

// refundUnsent gives back a retry that a policy further in rejected or that left its queue:
// the callee was not asked.
func (c *call) refundUnsent(err error) {
	if b := c.policy.shared.budget; b != nil && c.attempts > 1 && !asked(err) {
		b.Refund()
	}
}

// asked reports whether the callee was asked.
func asked(err error) bool {
	_, asked := resilience.CalleeError(err)
	return asked
}

// isNested reports whether err is that of a retry policy further in.
var isNested = resilience.MatchAs[*Error]()

// is does what errors.Is does, for errors from anywhere.
func is(err, target error) bool { return resilience.MatchIs(target)(err) }

func (c *call) now() time.Time { return clock.Now(c.policy.shared.clock) }
