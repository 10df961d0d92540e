package budgetredis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/internal/clock"
)

//go:embed lease.lua
var leaseText string

var leaseScript = redis.NewScript(leaseText)

const (
	// token is one retry in the fixed point of the script.
	token = 1_000_000
	// keyLife is how long Redis remembers a budget that nobody uses.
	keyLife = time.Hour
)

var (
	errExchangeTimeout error = &timeoutError{"budgetredis: Redis did not answer in time"}
	errTooLate         error = &timeoutError{"budgetredis: Redis answered after the lease had ended"}
	errAnswer                = errors.New("budgetredis: Redis answered what the script cannot")
	errPanic                 = errors.New("budgetredis: the client panicked")
)

type timeoutError struct{ text string }

func (e *timeoutError) Error() string { return e.text }

// ErrorType returns the type of the error in telemetry.
func (*timeoutError) ErrorType() string { return timeoutType }

// A request is what a replica reports and wants. It is sent, as it is, until it is answered:
// Redis knows by its sequence number whether it has come before.
type request struct {
	sequence int64
	stamp    int64 // what Redis' clock showed when the request began, in microseconds, or 0
	deposits int64
	returned int64
	kept     int64
	wanted   int64
	reserve  int64 // what the bucket must still hold after it
	leaving  bool
	began    time.Time
}

// An answer is what Redis granted, what the bucket still holds, Redis' clock, and how long it took.
type answer struct {
	granted, global, server int64
	latency                 time.Duration
	err                     error
}

// newRequest collects what there is to report, gives back what is left of the older lease
// and makes room for a new one.
func (b *Budget) newRequest(now time.Time) *request {
	held := b.leases.Load()
	rest := held.older.drain(now)
	b.leases.Store(&leases{older: held.newer})
	kept := held.newer.left(now)
	if kept == 0 {
		held.newer.drain(now) // what has expired stays so, also if the clock steps back
	}
	r := b.numbered(now)
	r.returned += rest
	r.kept = kept
	used := b.demand.Swap(0)
	if used == 0 { // it prefetches a token from the upper half of the bucket only
		r.reserve = (int64(b.settings.burst) + 1) / 2
	}
	r.wanted = max(0, min(max(2*used, 1), int64(b.settings.batch))-kept)
	return r
}

// numbered returns a request with the next number, which reports what has come in.
func (b *Budget) numbered(now time.Time) *request {
	e := &b.exchange
	e.sequence++
	r := &request{sequence: e.sequence, deposits: b.deposits.Swap(0), returned: b.returned.Swap(0), began: now}
	if !e.heard.IsZero() {
		r.stamp = e.server + now.Sub(e.heard).Microseconds()
	}
	return r
}

// send makes one exchange, and waits for its answer for the timeout. A client that does not
// obey deadlines may wait longer: then the next send of the request waits on.
func (b *Budget) send(ctx context.Context, r *request) answer {
	e := &b.exchange
	if e.sending && b.arrived.Wait(ctx, 0) == clock.WakeSet { // after the timeout, which was told of
		e.sending = false
		if late := b.answered.Swap(nil); late.err == nil {
			return *late
		}
	}
	if !e.sending {
		e.sending = true
		clock.Go(b.clock, func() {
			a := b.evaluate(r)
			b.answered.Store(&a)
			b.arrived.Set()
		})
	}
	if b.arrived.Wait(ctx, b.settings.timeout) != clock.WakeSet {
		return answer{err: errExchangeTimeout}
	}
	e.sending = false
	return *b.answered.Swap(nil)
}

// evaluate runs the script. A client whose hooks panic must not end the process.
func (b *Budget) evaluate(r *request) (a answer) {
	defer func() {
		if value := recover(); value != nil {
			a = answer{err: fmt.Errorf("%w: %v", errPanic, value)}
		}
	}()
	began := clock.Now(b.clock)
	ctx, cancel := clock.WithTimeoutCause(context.Background(), b.clock, b.settings.timeout, errExchangeTimeout)
	defer cancel()
	s := &b.settings
	values, err := leaseScript.Run(ctx, b.client, []string{b.key}, b.id, r.sequence, r.stamp,
		int64(s.burst)*token, int64(s.ratio*token+0.5), int64(s.floor*token+0.5), s.lease.Microseconds(), keyLife.Milliseconds(),
		r.deposits, r.returned, r.kept, r.wanted, r.reserve, r.leaving).Int64Slice()
	if errors.Is(err, context.DeadlineExceeded) {
		err = errExchangeTimeout // which says whose deadline it was
	}
	if err != nil {
		return answer{err: err}
	}
	if len(values) != 3 || values[0] < 0 || values[0] > r.wanted {
		return answer{err: fmt.Errorf("%w: %v", errAnswer, values)}
	}
	return answer{granted: values[0], global: values[1], server: values[2], latency: clock.Now(b.clock).Sub(began)}
}
