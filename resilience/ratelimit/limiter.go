package ratelimit

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Limiter gives calls their turns at a rate. In every window of t seconds
//
//	turns <= burst + rate * t
//
// whatever the interleaving of the goroutines that use it, cancellations included. A call
// is never sent before its turn; it is sent later by as long as its goroutine is kept from
// running, so for the calls that are sent the window grows by that.
//
// Turns are given in the order of arrival. A call that is refused takes none. A call whose
// context ends while it waits gives its turn back, unless a later call has taken the turn
// after it: then the turn is lost, as nobody could use it without coming too early. For what
// becomes of it when the rate has changed see SetRate.
//
// Time is counted in whole nanoseconds, and the interval between calls rounded up to one:
// what a limiter allows in the long run is at most the rate, and less than it by a share
// of no more than rate / 1e9, which is a thousandth at a million calls a second.
//
// A new Limiter has its whole burst. If its clock steps back it takes all waits and turns
// for as far ahead as they can have been, and goes on from there.
//
// A call that need not wait takes no lock and allocates nothing. A Limiter is made by [New].
// It is safe for use by several goroutines at once. A nil *Limiter limits nothing.
type Limiter struct {
	name    string
	burst   int
	maxWait time.Duration
	clock   clock.Clock
	epoch   time.Time
	tel     *telemetry.Guard // nil if off

	schedule atomic.Pointer[schedule]
	mu       sync.Mutex // held while the schedule is replaced
	last     change     // guarded by mu
}

// A change is that of one schedule to the next: what is needed to do it again.
type change struct {
	from    *schedule
	arrival time.Duration // the theoretical arrival time at the end of that one
	began   int64         // the one with which the next began
}

var _ resilience.Part = (*Limiter)(nil)

// New returns a limiter of callsPerSecond, [MinRate] to [MaxRate]. In a test under
// testing/synctest it is to be made inside the bubble, whose clock is another. The name
// identifies it in telemetry and in errors. Without options there is no burst and nobody
// waits.
func New(name string, callsPerSecond float64, opts ...Option) (*Limiter, error) {
	s := settings{burst: 1}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if err := s.validate(name, callsPerSecond); err != nil {
		return nil, err
	}
	l := &Limiter{name: name, burst: s.burst, maxWait: min(s.maxWait, farthest), clock: s.clock, epoch: clock.Now(s.clock)}
	l.schedule.Store(newSchedule(callsPerSecond, l.burst, l.maxWait))
	tel, err := telemetry.NewRateLimit(name, l.level, s.telemetry...)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: %q: %w", name, err)
	}
	l.tel = tel
	return l, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(name string, callsPerSecond float64, opts ...Option) *Limiter {
	l, err := New(name, callsPerSecond, opts...)
	if err != nil {
		panic(err)
	}
	return l
}

// SetRate changes the rate, [MinRate] to [MaxRate], from now on. The burst stays, and so
// does what is left of it. Calls that wait keep their turns, and the new rate begins at the
// last of these. If the call that has the last one leaves, before any turn was given at the
// new rate, that begins then, or at the last turn before. The turns of calls that leave after
// the rate has changed again are lost. A rate that is set once more changes nothing.
func (l *Limiter) SetRate(callsPerSecond float64) error {
	if l == nil {
		return errNilLimiter
	}
	if err := validateRate(l.name, callsPerSecond, l.burst); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.schedule.Load(); s.rate < callsPerSecond || s.rate > callsPerSecond {
		l.replace(s, callsPerSecond)
	}
	return nil
}

// Rate returns how many calls a second the limiter allows, or 0 for a nil *Limiter.
func (l *Limiter) Rate() float64 {
	if l == nil {
		return 0
	}
	return l.schedule.Load().rate
}

// Name returns the name under which telemetry shows the limiter.
func (l *Limiter) Name() string {
	if l == nil {
		return ""
	}
	return l.name
}

// Describe implements [resilience.Part].
func (l *Limiter) Describe() resilience.Description {
	return resilience.Description{Kind: "ratelimit", Name: l.Name()}
}

// Warn implements [resilience.Part].
func (l *Limiter) Warn(ctx context.Context, p resilience.Problem) {
	if l != nil {
		l.tel.Warn(ctx, p.Reason, p.Detail)
	}
}

func (l *Limiter) level() telemetry.RateLevel { return telemetry.RateLevel{Rate: l.Rate()} }

// now returns the time since the epoch.
func (l *Limiter) now() time.Duration {
	return max(-farthest, min(clock.Since(l.clock, l.epoch), farthest))
}

// take takes the next turn if it comes within most of now. Otherwise it takes nothing, and
// returns the wait until that turn.
func (l *Limiter) take(now, most time.Duration) (t turn, ok bool) {
	s := l.schedule.Load()
	for checked := false; ; {
		arrival := time.Duration(s.arrival.Load())
		if arrival == replaced {
			s = l.current()
			continue
		}
		wait := arrival - s.tolerance - now
		switch {
		case wait <= most:
			next := max(arrival, now) + s.interval
			if s.arrival.CompareAndSwap(int64(arrival), int64(next)) {
				return turn{schedule: s, arrival: next, now: now, wait: max(wait, 0)}, true
			}
		case arrival-now <= s.horizon || checked:
			return turn{schedule: s, now: now, wait: wait}, false
		default:
			// Other calls have moved on since now was read, or the clock has stepped back.
			now, checked = l.now(), true
			if arrival-now > s.horizon {
				l.clockSteppedBack(s)
				return turn{schedule: s, now: now, wait: s.interval + l.maxWait}, false
			}
		}
	}
}

// current returns the schedule in use, after it has been replaced if it just is.
func (l *Limiter) current() *schedule {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.schedule.Load()
}

// clockSteppedBack replaces s, unless that was done already, by a schedule that fits the
// clock: all turns are taken for as far ahead as can be.
func (l *Limiter) clockSteppedBack(s *schedule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == l.schedule.Load() {
		l.replace(s, s.rate)
	}
}

// replace replaces the schedule old by one of another rate. The lock must be held.
func (l *Limiter) replace(old *schedule, rate float64) {
	l.change(old, time.Duration(old.arrival.Swap(replaced)), rate)
}

// change puts a schedule into use that goes on from old, which ended with arrival. The clock
// is read when no turns are given any more, so that it is later than all that turns were
// given at. The lock must be held.
func (l *Limiter) change(old *schedule, arrival time.Duration, rate float64) {
	s := newSchedule(rate, l.burst, l.maxWait)
	s.continueFrom(old, arrival, l.now())
	l.last = change{from: old, arrival: arrival, began: s.arrival.Load()}
	l.schedule.Store(s)
}

// giveBack gives back a turn that was not used, unless a later call has taken the next one:
// its turn is fixed by then, and a call that came before it would come too early. It is then
// as if the turn had never been taken.
func (l *Limiter) giveBack(t turn) bool {
	before := t.arrival - t.schedule.interval
	if t.schedule.arrival.CompareAndSwap(int64(t.arrival), int64(before)) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// If it was the last turn of the schedule before, and the one in use has given none, the
	// rate changes now in place of then.
	s := l.schedule.Load()
	if l.last.from != t.schedule || l.last.arrival != t.arrival || !s.arrival.CompareAndSwap(l.last.began, replaced) {
		return false
	}
	l.change(t.schedule, before, s.rate)
	return true
}
