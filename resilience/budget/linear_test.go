package budget

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// stepClock is a clock that moves when it is told to.
type stepClock struct {
	clock.Clock // nil: a budget reads the time alone
	nanoseconds atomic.Int64
}

func (c *stepClock) Now() time.Time { return time.Unix(0, c.nanoseconds.Load()) }

// model is the bucket as one would write it under a lock.
type model struct{ balance, capacity, ratio int64 }

func (m model) apply(op operation) (model, bool) {
	switch op.kind {
	case deposit:
		m.balance = min(m.balance+m.ratio, m.capacity)
	case refund:
		m.balance = min(m.balance+token, m.capacity)
	case drip:
		m.balance = min(m.balance+op.amount, m.capacity)
	case withdraw:
		if m.balance >= token {
			m.balance -= token
			return m, op.granted
		}
		return m, !op.granted
	}
	return m, true
}

type kind uint8

const (
	deposit kind = iota
	withdraw
	refund
	drip // the clock moves
)

// operation is one operation of a history, with the order of its begin and its end.
type operation struct {
	kind       kind
	granted    bool
	amount     int64
	begin, end int64
}

// linearizable searches an order of the history that the model could have done one by
// one, in which no operation comes before one that had ended when it began (Wing and
// Gong, "Testing and Verifying Concurrent Objects", 1993).
func linearizable(m model, history []operation) bool {
	type state struct {
		done    uint64
		balance int64
	}
	failed := map[state]bool{}
	var search func(m model, done uint64) bool
	search = func(m model, done uint64) bool {
		if done == 1<<len(history)-1 {
			return true
		}
		at := state{done, m.balance}
		if failed[at] {
			return false
		}
		firstEnd := int64(1 << 62)
		for i, op := range history {
			if done&(1<<i) == 0 {
				firstEnd = min(firstEnd, op.end)
			}
		}
		for i, op := range history {
			if done&(1<<i) != 0 || op.begin > firstEnd {
				continue
			}
			if next, ok := m.apply(op); ok && search(next, done|1<<i) {
				return true
			}
		}
		failed[at] = true
		return false
	}
	return search(m, 0)
}

// Small histories of goroutines that deposit, withdraw and refund while the clock
// moves are each as if they had been done one by one.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for round := range 3000 {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		clk := &stepClock{}
		floor := float64(random.IntN(3)) * 0.5 // a drip of 0, 0.5 or 1 token a second
		b, err := New("b", WithRatio(0.5), WithFloor(floor), WithBurst(1+random.IntN(3)), WithClock(clk), WithTelemetry(telemetry.Off()))
		assert.NoError(t, err)
		for range random.IntN(3) {
			b.Withdraw() // begin at some level below full
		}
		m := model{balance: min(b.stored.Load()+b.drip(), b.capacity), capacity: b.capacity, ratio: b.ratio}

		var order atomic.Int64
		var mu sync.Mutex
		var history []operation
		var group sync.WaitGroup
		const workers, each = 4, 5
		for range workers {
			plan := make([]kind, each)
			for i := range plan {
				plan[i] = kind(random.IntN(4))
			}
			group.Go(func() {
				for _, k := range plan {
					op := operation{kind: k, begin: order.Add(1)}
					switch k {
					case deposit:
						b.Deposit()
					case refund:
						b.Refund()
					case withdraw:
						op.granted = b.Withdraw()
					case drip:
						op.amount = int64(floor * token)
						clk.nanoseconds.Add(int64(time.Second))
					}
					op.end = order.Add(1)
					mu.Lock()
					history = append(history, op)
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if !linearizable(m, history) {
			t.Fatalf("seed %d round %d: from %+v no order explains %+v", seed, round, m, history)
		}
	}
}

func TestLinearizableFindsWhatIsNot(t *testing.T) {
	t.Parallel()
	m := model{balance: token, capacity: token, ratio: token / 2}
	grant := operation{kind: withdraw, granted: true, begin: 1, end: 4}
	other := operation{kind: withdraw, granted: true, begin: 2, end: 3}
	assert.True(t, linearizable(m, []operation{grant}))
	assert.False(t, linearizable(m, []operation{grant, other}), "an overspend")
	assert.True(t, linearizable(m, []operation{grant, other, {kind: refund, begin: 1, end: 5}}))
	late := operation{kind: refund, begin: 5, end: 6}
	assert.False(t, linearizable(m, []operation{grant, other, late}), "a refund that came too late")
	denied := operation{kind: withdraw, begin: 1, end: 2}
	assert.False(t, linearizable(m, []operation{denied}), "a denial that should have been a grant")
}

// A deposit to a full budget writes nothing, also long after its epoch.
func TestDepositToAFullBudgetWritesNothing(t *testing.T) {
	t.Parallel()
	clk := &stepClock{}
	b, err := New("b", WithClock(clk), WithTelemetry(telemetry.Off()))
	assert.NoError(t, err)
	for day := range 3 {
		clk.nanoseconds.Add(int64(24 * time.Hour))
		assert.True(t, b.Withdraw())
		for range 10 {
			b.Deposit() // ten fill what the withdrawal took
		}
		full := b.stored.Load()
		for range 1000 {
			b.Deposit()
		}
		assert.Equal(t, full, b.stored.Load(), fmt.Sprint("day ", day))
	}
}

// A clock that steps back takes nothing away and gives nothing.
func TestClockThatStepsBack(t *testing.T) {
	t.Parallel()
	clk := &stepClock{}
	clk.nanoseconds.Store(int64(time.Hour))
	b, err := New("b", WithClock(clk), WithBurst(3), WithTelemetry(telemetry.Off()))
	assert.NoError(t, err)
	clk.nanoseconds.Store(0)
	granted := 0
	for b.Withdraw() {
		granted++
	}
	assert.Equal(t, 3, granted)
	clk.nanoseconds.Store(int64(time.Hour))
	assert.False(t, b.Withdraw())
	clk.nanoseconds.Add(int64(time.Second))
	assert.True(t, b.Withdraw(), "the floor goes on where it was")
	assert.False(t, b.Withdraw())
}
