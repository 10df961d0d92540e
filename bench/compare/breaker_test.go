package compare

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

const goBreaker = "gobreaker"

// A breakerUnderTest opens at the first failure, for 5 s, and closes after one probe.
type breakerUnderTest struct {
	do     func(op func() error) error
	closed func() bool
}

func breakersUnderTest() map[string]breakerUnderTest {
	ours := breaker.MustNew("b", breaker.WithConsecutiveFailures(1), breaker.WithProbes(1), breaker.WithTelemetry(telemetry.Off()))
	theirs := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Timeout: 5 * time.Second, ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 1 },
	})
	another := circuitbreaker.NewBuilder[any]().WithFailureThreshold(1).WithDelay(5 * time.Second).Build()
	executor := failsafe.With(another)
	return map[string]breakerUnderTest{
		toolkit: {
			func(op func() error) error {
				return ours.Do(context.Background(), func(context.Context) error { return op() })
			},
			func() bool { return ours.State() == breaker.Closed },
		},
		goBreaker: {
			func(op func() error) error {
				_, err := theirs.Execute(func() (any, error) { return nil, op() })
				return err
			},
			func() bool { return theirs.State() == gobreaker.StateClosed },
		},
		failsafeGo: {
			func(op func() error) error { return executor.Run(op) },
			another.IsClosed,
		},
	}
}

// begin starts a call that ends when the channel that it returns is closed.
func (b breakerUnderTest) begin() chan struct{} {
	end := make(chan struct{})
	go func() { _ = b.do(func() error { <-end; return nil }) }()
	synctest.Wait()
	return end
}

// halfOpen opens the breaker and waits until it lets probes pass.
func (b breakerUnderTest) halfOpen() {
	_ = b.do(func() error { return errDown })
	time.Sleep(6 * time.Second)
}

// TestLateSuccess lets a call that began before the breaker opened succeed while a probe is
// under way.
func TestLateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closes := map[string]bool{failsafeGo: true}
		for name, b := range breakersUnderTest() {
			late := b.begin()
			b.halfOpen()
			probe := b.begin()
			require.False(t, b.closed(), name)
			close(late)
			synctest.Wait()
			t.Logf("%-12s closed by a late success: %v", name, b.closed())
			assert.Equal(t, closes[name], b.closed(), name)
			close(probe)
			synctest.Wait()
		}
	})
}

// TestProbeThatHangs lets a probe hang for a day.
func TestProbeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recovers := map[string]bool{toolkit: true}
		for name, b := range breakersUnderTest() {
			b.halfOpen()
			hangs := b.begin()
			time.Sleep(24 * time.Hour)
			_ = b.do(func() error { return nil }) // which may be what notices it
			time.Sleep(6 * time.Second)
			err := b.do(func() error { return nil })
			t.Logf("%-12s lets a call pass after a day: %v", name, err == nil)
			assert.Equal(t, recovers[name], err == nil, name)
			close(hangs)
			synctest.Wait()
		}
	})
}
