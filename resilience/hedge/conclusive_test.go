package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// gaveUpError is the error of a retry inside of a copy that gave up, as retry.Error is.
type gaveUpError struct{ last error }

func (e gaveUpError) Error() string      { return fmt.Sprintf("gave up: %v", e.last) }
func (e gaveUpError) Unwrap() error      { return e.last }
func (e gaveUpError) LastFailure() error { return e.last }
func (gaveUpError) Refused() bool        { return true }

// A second copy fails while the first runs. It decides the call by what the callee said, and
// by nothing else.
func TestWhatDecides(t *testing.T) {
	t.Parallel()
	errNotFound := errors.New("not found")
	notFound := hedge.WithClassifier(func(err error) resilience.Class {
		if errors.Is(err, errNotFound) {
			return resilience.ClassPermanent
		}
		return resilience.ClassUnknown
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		err     error
		decides bool
	}{
		{"permanent", errPermanent, true},
		{"permanent by a classifier", errNotFound, true},
		{"unknown", errPlain, false},
		{"a retry gave up at what may pass", gaveUpError{errTransient}, false},
		{"a retry gave up at what is permanent", gaveUpError{errNotFound}, true},
		{"a retry inside of a retry", fmt.Errorf("outer: %w", gaveUpError{gaveUpError{errPermanent}}), true},
		{"a retry that never came to an attempt", gaveUpError{}, false},
		{"refused", errRefused, false},
		{"refused, and called permanent", resilience.Permanent(errRefused), false},
		{"not sent", ctxerr.NotSent(ended, "limit", "in the queue"), false},
		{"canceled by an inner timer", context.Canceled, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := hedge.MustNew("h", hedge.WithDelay(second), notFound, hedge.WithTelemetry(telemetry.Off()))
			value, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
				if resilience.AttemptFrom(ctx) == nil {
					time.Sleep(5 * second)
					return 1, nil
				}
				return 2, c.err
			}, nil)
			if c.decides {
				assert.Equal(t, c.err, err, c.name)
				assert.Equal(t, 2, value, c.name)
			} else {
				assert.NoError(t, err, c.name)
				assert.Equal(t, 1, value, c.name)
			}
			time.Sleep(10 * second)
		})
	}
}

// What a copy that reached the callee came to stands before a refusal of one that did not,
// whichever comes last, and a further copy that was not sent goes back to the budget.
func TestCopiesThatWereNotSent(t *testing.T) {
	t.Parallel()
	for _, unsentFirst := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBudget{grants: 10}
			h := hedge.MustNew("h", hedge.WithDelay(second), hedge.WithBudget(b), hedge.WithTelemetry(telemetry.Off()))
			_, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
				if resilience.AttemptFrom(ctx) != nil {
					return 0, errRefused // a second after the first began
				}
				if unsentFirst {
					time.Sleep(2 * second)
				} else {
					time.Sleep(second + time.Nanosecond)
				}
				return 0, errTransient
			}, nil)
			assert.Equal(t, errTransient, err)
			assert.Equal(t, int64(1), b.withdrawn.Load())
			assert.Equal(t, int64(1), b.refunds.Load())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew("h", hedge.WithDelay(second), hedge.WithTelemetry(telemetry.Off()))
		_, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
			if resilience.AttemptFrom(ctx) == nil {
				time.Sleep(second + time.Nanosecond)
				return 0, errTransient // while the other runs
			}
			time.Sleep(second)
			return 0, errRefused // last
		}, nil)
		assert.Equal(t, errTransient, err)
		_, err = hedge.DoValue(t.Context(), h, func(context.Context) (int, error) { return 0, errRefused }, nil)
		assert.Equal(t, errRefused, err, "if nothing else is there")
	})
}
