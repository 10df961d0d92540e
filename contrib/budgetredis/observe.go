package budgetredis

import (
	"math"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// timeoutType is the type of errors that say that Redis did not answer in time.
const timeoutType = "timeout"

// observedLevel is the level that metrics show: none of a budget that was closed.
func (b *Budget) observedLevel() (tokens, capacity float64) {
	if b.ended() {
		return math.NaN(), math.NaN()
	}
	return b.level()
}

// sharedLevel is what metrics show of the budget of all replicas.
func (b *Budget) sharedLevel() telemetry.SharedBudgetLevel {
	if b.ended() {
		return telemetry.SharedBudgetLevel{Tokens: math.NaN(), Capacity: math.NaN()}
	}
	l := telemetry.SharedBudgetLevel{Mode: b.Mode().String(), Tokens: math.NaN(), Capacity: float64(b.settings.burst)}
	if b.Mode() == Shared {
		l.Tokens = float64(b.global.Load())
	}
	return l
}

func (b *Budget) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// observe counts an exchange that was answered, or was not.
func (b *Budget) observe(a *answer) {
	if a.err == nil {
		b.shared.Exchanged(a.latency)
		return
	}
	result, kind := telemetry.ResultFailure, resilience.ErrorType(a.err)
	if kind == timeoutType {
		result = telemetry.ResultTimedOut
	}
	b.shared.ExchangeFailed(result, a.err, kind)
}

// enter changes the mode, and tells of it if it is another one. err is why the shared mode is
// left. A budget that finds no Redis at first tells of that too, once.
func (b *Budget) enter(mode Mode, err error) {
	from := Mode(b.mode.Swap(uint32(mode))) //nolint:gosec // only modes are stored
	if from == mode && (err == nil || b.exchange.told) {
		return
	}
	b.exchange.told = true
	b.shared.ModeChanged(telemetry.SharedBudgetChange{
		From: from.String(), To: mode.String(), Err: err, ErrorType: resilience.ErrorType(err),
	})
}
