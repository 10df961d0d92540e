package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// learner is a backoff that keeps what it is told.
type learner struct{ heard []string }

func (*learner) Delay(int, time.Duration, float64) time.Duration { return 0 }
func (l *learner) Observe(class resilience.Class, pushback bool) {
	l.heard = append(l.heard, fmt.Sprint(class, " ", pushback))
}

// A backoff that learns is told of every attempt, once.
func TestBackoffThatLearns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, option := range map[string]telemetry.Option{"light": telemetry.Off(), "watched": telemetry.WithSpans()} {
			l := &learner{}
			p := retry.MustNew("p", retry.WithBackoff(l), retry.WithTelemetry(option))
			do := func(ctx context.Context, errs ...error) {
				i := -1
				_ = p.Do(ctx, func(context.Context) error { i++; return errs[i] })
			}
			do(t.Context(), nil)
			do(t.Context(), errTransient, resilience.RetryAfter(errPlain, time.Second), nil)
			do(t.Context(), errPlain)
			do(t.Context(), resilience.Permanent(errPlain))
			do(t.Context(), resilience.Refused(errPlain))
			ctx, cancel := context.WithCancel(t.Context())
			_ = p.Do(ctx, func(context.Context) error { cancel(); return errors.Join(ctx.Err(), errTransient) })
			assert.Equal(t, []string{
				"unknown false", "retryable false", "retryable true", "unknown false", "unknown false", "permanent false",
			}, l.heard, name)
		}
	})
}
