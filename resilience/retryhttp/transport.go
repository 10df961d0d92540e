package retryhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/observable-go/toolkit/resilience"
)

// A Transport is an [http.RoundTripper] that sends requests under a policy. Make one with
// [New], give it to an [http.Client], and share that.
//
// It is safe for use by several goroutines at once.
type Transport struct {
	policy resilience.Policy
	settings
}

var _ http.RoundTripper = (*Transport)(nil)

// New returns a Transport that sends each request under p: a *retry.Policy, a stack, any
// [resilience.Policy]. A nil p sends it once.
//
// An invalid option is an error that names it.
func New(p resilience.Policy, opts ...Option) (*Transport, error) {
	if p == nil {
		p = resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error { return op(ctx) })
	}
	t := &Transport{policy: p, settings: defaults()}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&t.settings); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(p resilience.Policy, opts ...Option) *Transport {
	t, err := New(p, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// RoundTrip implements [http.RoundTripper].
//
// If the last attempt ended with an answer that answer is returned, whatever its status, as
// it would be without a policy. The error is that of the policy otherwise: that of the last
// attempt as it is, or one that wraps it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.policy == nil {
		newRequestBody(req, 0).finish()
		return nil, errNotMade
	}
	c := &call{transport: t, request: req, repeatable: t.repeatable(req), body: newRequestBody(req, t.bufferLimit)}
	defer c.body.finish()
	return c.result(req.Context(), t.policy.Do(req.Context(), c.attempt))
}

// CloseIdleConnections closes the idle connections of the transport further in, if that has
// any. [http.Client.CloseIdleConnections] calls it.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

var (
	errNotMade  = errors.New("retryhttp: the Transport was not made by New")
	errNoAnswer = errors.New("retryhttp: the policy has neither sent the request nor returned an error")
	errNoResult = errors.New("retryhttp: the transport returned neither an answer nor an error")
)

// call is one request with its attempts.
type call struct {
	transport  *Transport
	request    *http.Request
	repeatable bool // by what it is
	body       *requestBody

	over    bool           // there is no next attempt, whatever the policy wants
	answer  *http.Response // of the last attempt, if it has one
	failure error          // of the last attempt, as the policy was told of it
	origin  error          // of the last attempt, as the transport further in returned it
	gaveUp  bool           // a policy further in did, in the last attempt
}

// attempt sends the request once. It is the operation of the policy. A policy that repeats what
// must not be repeated gets the same result again.
func (c *call) attempt(ctx context.Context) error {
	if c.over {
		return c.failure
	}
	retained, release := resilience.Retain(ctx)
	body, err := c.body.next(retained)
	if err != nil {
		release()
		return c.cannotRepeat(err)
	}
	c.abandon(ctx)
	var sent *sentWatch
	gaveUp := func() bool { return false }
	if c.repeatable {
		retained, gaveUp = resilience.WatchGaveUp(retained)
	} else {
		retained, sent = watchSent(retained)
	}
	answer, err := c.transport.base.RoundTrip(c.outgoing(retained, body))
	if c.gaveUp = gaveUp(); c.gaveUp {
		resilience.NoteGaveUp(ctx)
	}
	switch {
	case err != nil:
		if answer != nil && answer.Body != nil {
			_ = answer.Body.Close()
		}
		release()
		c.failure = c.failed(err, sent)
	case answer == nil:
		release()
		c.failure = c.failed(errNoResult, sent)
	default:
		c.failure = c.answered(ctx, answer, release)
	}
	return c.failure
}

// failed judges an attempt without an answer.
func (c *call) failed(err error, sent *sentWatch) error {
	c.origin = err
	failure := classified(err)
	if c.mayRepeat() || sent.never() && c.body.replayable() {
		return failure
	}
	c.over = true
	return final(failure, c.whyNot())
}

// cannotRepeat ends a call of which the last attempt looked as if it could be repeated, as there
// is no body for another one.
func (c *call) cannotRepeat(err error) error {
	c.over = true
	if c.failure == nil {
		return nil
	}
	if err != errNotReplayable { //nolint:errorlint // the very value: GetBody has others
		c.failure = fmt.Errorf("%w (and GetBody failed: %w)", c.failure, err)
		if c.answer == nil {
			c.origin = c.failure
		}
	}
	c.failure = final(c.failure, c.whyNot())
	return c.failure
}

// answered takes the answer of an attempt, and returns what is wrong with it.
func (c *call) answered(ctx context.Context, answer *http.Response, release context.CancelFunc) error {
	c.answer = answer
	answer.Request = c.request
	failure := c.transport.statusError(answer)
	if failure == nil {
		c.origin, c.over = nil, !c.mayRepeat()
		answer.Body = releaseAfter(answer.Body, release)
		return nil
	}
	c.origin = failure
	refused := !c.transport.ignoreShouldRetry && (c.gaveUp || refuses(answer.Header))
	listed := c.transport.statuses[failure.StatusCode]
	if c.over = refused || !listed || !c.mayRepeat(); !c.over {
		c.answer = hold(answer, release) //nolint:bodyclose // it is the caller's, or abandon closes it
		return failure
	}
	answer.Body = releaseAfter(answer.Body, release)
	if refused {
		resilience.NoteGaveUp(ctx)
		return &refusal{failure}
	}
	if !listed {
		return final(failure, "")
	}
	return final(failure, c.whyNot())
}

// mayRepeat reports whether another attempt may be made although this one may have been
// executed.
func (c *call) mayRepeat() bool {
	return c.repeatable && c.body.replayable()
}

// whyNot says why a request must not be executed twice, for the lines and events of a policy: its
// failure alone looks as if it were repeated.
func (c *call) whyNot() string {
	if !c.repeatable {
		return fmt.Sprintf("a %s may not be executed twice", cmp.Or(c.request.Method, http.MethodGet))
	}
	return "its body cannot be sent again"
}

// abandon frees the answer of the attempt before.
func (c *call) abandon(ctx context.Context) {
	if c.answer != nil {
		discard(ctx, c.answer.Body)
		c.answer = nil
	}
}

// result returns what the caller gets.
func (c *call) result(ctx context.Context, err error) (*http.Response, error) {
	if err == nil && c.answer == nil && c.failure == nil {
		return nil, errNoAnswer
	}
	if c.answer != nil && (err == nil || errors.Is(err, c.origin) && !endedBy(ctx, err)) {
		return c.answer, nil
	}
	c.abandon(ctx)
	if err == nil || same(err, c.failure) {
		err = c.origin
	}
	return nil, err
}

// same reports whether err is failure itself, which nobody wrapped. There are errors that cannot
// be compared, such as lists of others.
func same(err, failure error) bool {
	return reflect.ValueOf(err).Comparable() && err == failure //nolint:errorlint // the very value
}

// endedBy reports whether err says that the call ended as the caller's context did.
func endedBy(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
