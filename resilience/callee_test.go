package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
)

// gaveUpError is the error of a policy that gave up repeating.
type gaveUpError struct{ last error }

func (gaveUpError) Error() string        { return "gave up" }
func (gaveUpError) Refused() bool        { return true }
func (e gaveUpError) LastFailure() error { return e.last }

// notSentError is that of a call that did not reach the callee.
type notSentError struct{ not bool }

func (notSentError) Error() string   { return "not sent" }
func (e notSentError) NotSent() bool { return e.not }

// loopError is a last failure of itself.
type loopError struct{}

func (loopError) Error() string        { return "loop" }
func (e loopError) LastFailure() error { return e }

// brokenError panics when it is asked.
type brokenError struct{}

func (brokenError) Error() string      { return "broken" }
func (brokenError) LastFailure() error { panic("asked") }
func (brokenError) NotSent() bool      { panic("asked") }
func (brokenError) Throttled() bool    { panic("asked") }

func TestCalleeError(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	refused := resilience.Refused(errDown)
	for name, tt := range map[string]struct {
		err, want error
		asked     bool
	}{
		"nil":                        {nil, nil, true},
		"a failure":                  {errDown, errDown, true},
		"a refusal":                  {refused, refused, false},
		"a refusal, wrapped":         {fmt.Errorf("x: %w", refused), fmt.Errorf("x: %w", refused), false},
		"not sent":                   {notSentError{true}, notSentError{true}, false},
		"sent after all":             {notSentError{false}, notSentError{false}, true},
		"gave up":                    {gaveUpError{errDown}, errDown, true},
		"gave up, wrapped":           {fmt.Errorf("x: %w", gaveUpError{errDown}), errDown, true},
		"gave up on a refusal":       {gaveUpError{refused}, refused, false},
		"gave up before an attempt":  {gaveUpError{nil}, nil, false},
		"gave up, twice":             {gaveUpError{gaveUpError{errDown}}, errDown, true},
		"the last failure of itself": {loopError{}, loopError{}, true},
		"a method that panics":       {brokenError{}, brokenError{}, true},
	} {
		got, asked := resilience.CalleeError(tt.err)
		assert.Equal(t, tt.want, got, name)
		assert.Equal(t, tt.asked, asked, name)
	}
}

func TestThrottled(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                     {nil, false},
		"a failure":               {errDown, false},
		"a timeout":               {context.DeadlineExceeded, false},
		"retryable":               {resilience.Retryable(errDown), false},
		"come back later":         {resilience.RetryAfter(errDown, time.Second), true},
		"come back some time":     {resilience.RetryAfter(errDown, 0), true},
		"come back, marked again": {resilience.Retryable(fmt.Errorf("x: %w", resilience.RetryAfter(errDown, 0))), true},
		"one of several":          {errors.Join(errDown, resilience.RetryAfter(errDown, 0)), true},
		"its own word":            {busyError{}, true},
		"a guard's refusal":       {resilience.Refused(resilience.RetryAfter(errDown, time.Second)), false},
		"a retry that gave up":    {gaveUpError{resilience.RetryAfter(errDown, time.Second)}, true},
		"a method that panics":    {brokenError{}, false},
	} {
		assert.Equal(t, tt.want, resilience.Throttled(tt.err), name)
	}
}

// busyError asks for fewer calls.
type busyError struct{}

func (busyError) Error() string   { return "busy" }
func (busyError) Throttled() bool { return true }
