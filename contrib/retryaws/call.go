package retryaws

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// call is one call of an operation, with all its attempts. The SDK runs the loop, in one
// goroutine; the middlewares and the retryer tell the call of each step:
//
//	begin, then for each attempt: beginAttempt, endAttempt, schedule, nextDelay; and end
type call struct {
	retryer *Retryer
	rules   *rules
	ctx     context.Context
	tel     telemetry.RetryCall

	attempts int
	running  bool // an attempt was begun and has not ended
	finished bool
	last     telemetry.Failure
	failed   error         // the last failure as the SDK judged it
	stop     *stop         // why there was no retry, or nil
	delay    time.Duration // before the retry that was granted
	reserved bool          // a retry was granted by the budget and not sent yet
	charged  bool          // the attempt is a retry that was granted by the budget
	waiting  bool          // a retry was scheduled and not sent yet

	began    time.Time
	firstEnd time.Time // of the first attempt, if another was wanted
}

// begin starts a call.
func begin(ctx context.Context, r *Retryer) *call {
	if r.budget != nil && ctx.Err() == nil {
		r.budget.Deposit()
	}
	c := &call{retryer: r, rules: r.rules.Load()}
	if c.rules.MaxElapsed > 0 || r.tel.Times(ctx) {
		c.began = clock.Now(nil)
	}
	c.ctx, c.tel = r.tel.Begin(ctx, c.rules.max)
	return c
}

// beginAttempt returns the context for the next attempt, which is sent now.
func (c *call) beginAttempt(ctx context.Context) context.Context {
	c.attempts++
	c.running = true
	c.charged = c.reserved
	if c.waiting {
		c.waiting, c.reserved = false, false
		c.tel.RetrySent(c.delay)
	}
	if c.attempts > 1 {
		a := resilience.Attempt{Policy: c.retryer.name, Number: c.attempts, Max: c.rules.max}
		if a.Number > a.Max {
			a.Max = 0 // an option of the SDK's allows more
		}
		ctx = resilience.WithAttempt(ctx, a)
	}
	return c.tel.AttemptStarted(ctx, c.attempts)
}

// endAttempt notes that the attempt ended with err, and returns that in words that policies
// understand.
func (c *call) endAttempt(err error) error {
	c.running = false
	if err == nil {
		c.tel.AttemptSucceeded(c.attempts)
		return nil
	}
	if c.attempts == 1 {
		c.firstEnd = clock.Now(nil)
	}
	f := &failure{err, c}
	c.failed = f
	c.last = telemetry.Failure{Number: c.attempts, Err: err, ErrorType: resilience.ErrorType(f)}
	c.tel.AttemptFailed(&c.last)
	if _, asked := resilience.CalleeError(err); !asked && c.charged {
		c.refund() // a policy further in did not send the retry
	}
	return f
}

// schedule grants a retry of the attempt that failed with err, or returns why there is none.
func (c *call) schedule(err error) *stop {
	c.failed = err
	c.stop = c.trySchedule(err)
	return c.stop
}

func (c *call) trySchedule(err error) *stop {
	if !resilience.MayRetry(c.ctx) {
		return stopForbidden
	}
	delay, pushback := c.rules.delay(c.attempts, err)
	if pushback && delay > c.rules.maxPushback {
		return stopPushback
	}
	now := clock.Now(nil)
	if deadline, ok := c.ctx.Deadline(); ok && deadline.Sub(now) <= delay {
		return stopDeadline
	}
	if c.rules.MaxElapsed > 0 && now.Sub(c.began) > c.rules.MaxElapsed-delay {
		return stopMaxElapsed
	}
	c.delay = delay
	if b := c.retryer.budget; b != nil {
		if !b.Withdraw() {
			return stopBudget
		}
		c.reserved = true
	}
	c.waiting = true
	c.tel.RetryScheduled(&c.last, delay, pushback)
	return nil
}

// nextDelay returns the wait before the retry that was granted. The SDK also asks for it when
// the budget denied the retry of a long poll, which its caller would otherwise repeat without
// a pause. After any other stop there is nothing to wait for.
func (c *call) nextDelay() (time.Duration, error) {
	if c.stop != nil && c.stop != stopBudget {
		return 0, &denial{c.stop}
	}
	return c.delay, nil
}

// end ends the call, of which the SDK made err, and returns what the caller gets.
func (c *call) end(err error) error {
	if err == nil {
		outcome := telemetry.OutcomeSuccess
		if c.attempts > 1 {
			outcome = telemetry.OutcomeSuccessAfterRetry
		}
		return c.finish(nil, &telemetry.RetryEnd{Outcome: outcome})
	}
	unsent := c.reserved
	c.settle()
	_, exhausted := errors.AsType[*awsretry.MaxAttemptsError](err)
	exhausted = exhausted && c.attempts > 0
	class := c.retryer.classes.Classify(err)
	if exhausted {
		class = resilience.ClassRetryable // also by the codes of a service, which only the SDK knows
	}
	over := ended(c.ctx)
	switch {
	case c.stop == stopForbidden:
		end := telemetry.RetryEnd{Outcome: stopForbidden.outcome, Reason: forbiddenBy(c.ctx)}
		return c.finish(judged(c.failed, resilience.ClassRetryable), &end)
	case c.stop != nil:
		return c.giveUp(c.stop, resilience.Retryable(c.failed))
	case over != nil && c.attempts == 0:
		notStarted := *over
		notStarted.outcome = telemetry.OutcomeNotStarted
		return c.giveUp(&notStarted, nil)
	case over != nil && (unsent || c.waiting):
		return c.giveUp(over, resilience.Retryable(c.failed))
	case over != nil && (class <= resilience.ClassRetryable || c.causedByContext(err)):
		return c.giveUp(over, err) // which a policy whose timeout it was judges by itself
	case exhausted:
		return c.giveUp(stopExhausted, resilience.Retryable(err))
	}
	return c.finish(judged(err, class), &telemetry.RetryEnd{Outcome: outcomeOf(class)})
}

// outcomeOf returns the outcome of a call whose last failure was not to be retried.
func outcomeOf(class resilience.Class) telemetry.Outcome {
	switch class {
	case resilience.ClassRefused:
		return telemetry.OutcomeRefused
	case resilience.ClassUnknown:
		return telemetry.OutcomeUnclassified
	default:
		return telemetry.OutcomeNotRetryable
	}
}

// causedByContext reports whether err is what the end of the context looks like.
func (c *call) causedByContext(err error) bool {
	return errors.Is(err, c.ctx.Err()) || errors.Is(err, context.Cause(c.ctx))
}

// giveUp ends the call although it would go on after its last failure, nil if there is none.
func (c *call) giveUp(s *stop, last error) error {
	err := &retry.Error{Policy: c.retryer.name, Attempts: c.attempts, Reason: s.err, Last: last, Cause: context.Cause(c.ctx)}
	if err.Cause != nil {
		// What the SDK makes of the end of a context, and callers of the SDK look for.
		err.Cause = &aws.RequestCanceledError{Err: err.Cause}
	}
	if !c.firstEnd.IsZero() {
		err.Elapsed = clock.Since(nil, c.firstEnd)
	}
	if err.Refused() {
		resilience.NoteGaveUp(c.ctx)
	}
	end := telemetry.RetryEnd{Outcome: s.outcome, Reason: s.name}
	if named, ok := c.retryer.budget.(interface{ Name() string }); ok && s == stopBudget {
		end.Budget = named.Name()
	}
	return c.finish(err, &end)
}

// finish ends the call with err, which it returns.
func (c *call) finish(err error, end *telemetry.RetryEnd) error {
	c.finished = true
	end.Attempts = c.attempts
	end.Nested = err != nil && resilience.AttemptFrom(c.ctx) != nil
	if end.Timed = !c.began.IsZero(); end.Timed {
		end.Duration = clock.Since(nil, c.began)
	}
	if !c.firstEnd.IsZero() {
		end.Latency = clock.Since(nil, c.firstEnd)
	}
	var last *telemetry.Failure
	if err != nil && c.attempts > 0 {
		last = &c.last
	}
	c.tel.End(end, last)
	return err
}

// close ends a call that a panic left.
func (c *call) close() {
	if c.finished {
		return
	}
	c.settle()
	if c.running {
		c.tel.AttemptPanicked(c.attempts)
	}
	_ = c.finish(nil, &telemetry.RetryEnd{Outcome: telemetry.OutcomePanic})
}

// settle gives back a retry that was granted and not sent.
func (c *call) settle() {
	if c.reserved {
		c.reserved = false
		c.refund()
	}
}

func (c *call) refund() { c.retryer.budget.Refund() }
