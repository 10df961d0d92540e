package ratelimit

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// stepClock is a clock that moves when it is told to.
type stepClock struct {
	clock.Clock // nil: what these tests call reads the time alone
	nanoseconds atomic.Int64
}

func (c *stepClock) Now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *stepClock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }
func (c *stepClock) elapsed() time.Duration  { return time.Duration(c.nanoseconds.Load()) }
func (c *stepClock) Wait(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

func newLimiter(t *testing.T, c clock.Clock, rate float64, opts ...Option) *Limiter {
	t.Helper()
	l, err := New("l", rate, append(opts, WithClock(c), WithTelemetry(telemetry.Off()))...)
	require.NoError(t, err)
	return l
}

// bucket is a token bucket as one would write it under a lock, whose tokens may be owed by
// calls that wait. It counts in exact fractions of a token.
type bucket struct {
	burst, interval int64
	tokens          *big.Rat
}

func newBucket(rate float64, burst int) *bucket {
	return &bucket{burst: int64(burst), interval: int64(intervalOf(rate)), tokens: new(big.Rat).SetInt64(int64(burst))}
}

func (b *bucket) clone() *bucket {
	return &bucket{burst: b.burst, interval: b.interval, tokens: new(big.Rat).Set(b.tokens)}
}

func (b *bucket) advance(d time.Duration) { b.add(big.NewRat(int64(d), b.interval)) }

// add adds tokens, of which those that the bucket cannot hold are lost.
func (b *bucket) add(tokens *big.Rat) {
	b.tokens.Add(b.tokens, tokens)
	if full := new(big.Rat).SetInt64(b.burst); b.tokens.Cmp(full) > 0 {
		b.tokens = full
	}
}

// wait returns how long the bucket needs to have a token more than those owed.
func (b *bucket) wait() time.Duration {
	missing := new(big.Rat).Sub(big.NewRat(1, 1), b.tokens)
	missing.Mul(missing, new(big.Rat).SetInt64(b.interval))
	return max(time.Duration(ceil(missing)), 0)
}

// setRate keeps the tokens, rounded down to what a whole nanosecond gives, but calls that
// wait keep their time.
func (b *bucket) setRate(rate float64) {
	interval := int64(intervalOf(rate))
	missing := new(big.Rat).Sub(new(big.Rat).SetInt64(b.burst), b.tokens)
	if b.tokens.Sign() < 0 { // the tokens owed are those of the time until the last turn
		missing.SetInt64(b.burst)
		missing.Mul(missing, new(big.Rat).SetInt64(interval))
		missing.Sub(missing, new(big.Rat).Mul(b.tokens, new(big.Rat).SetInt64(b.interval)))
	} else {
		missing.Mul(missing, new(big.Rat).SetInt64(interval))
	}
	b.interval = interval
	b.tokens = new(big.Rat).SetInt64(b.burst)
	b.tokens.Sub(b.tokens, big.NewRat(ceil(missing), interval))
}

func ceil(x *big.Rat) int64 {
	q, m := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

// randomRate returns a rate of any magnitude that the burst goes with.
func randomRate(random *rand.Rand, burst int) float64 {
	for {
		rate := math.Pow(10, random.Float64()*12-6)
		if random.IntN(3) == 0 {
			rate = math.Pow(10, float64(random.IntN(13)-6))
		}
		if validateRate("l", rate, burst) == nil {
			return rate
		}
	}
}

// A limiter decides as a token bucket does, to the nanosecond, at any rate and burst, when
// calls wait and give back, and when the rate changes.
func TestDecidesAsATokenBucket(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for round := range 200 {
		random := rand.New(rand.NewPCG(seed, uint64(round)))
		clk := &stepClock{}
		burst := 1 + random.IntN(5)
		if random.IntN(4) == 0 {
			burst = 1 + random.IntN(MaxBurst)
		}
		rate := randomRate(random, burst)
		maxWait := time.Duration(random.IntN(4)) * intervalOf(rate)
		l := newLimiter(t, clk, rate, WithBurst(burst), WithMaxWait(maxWait))
		model := newBucket(rate, burst)
		var last turn   // the latest, unless it was given back
		var old *bucket // as it would be if the rate had not changed since the latest turn
		move := func(d time.Duration) {
			if clk.elapsed()+d < farthest {
				clk.advance(d)
				model.advance(d)
				if old != nil {
					old.advance(d)
				}
			}
		}
		for step := range 200 {
			switch random.IntN(6) {
			case 0:
				d := time.Duration(random.Int64N(3*model.interval + 1))
				if random.IntN(20) == 0 {
					d *= 1000
				}
				move(d)
			case 1: // exactly at the next turn, or 1 ns before it
				d := max(model.wait()-time.Duration(random.IntN(2)), 0)
				move(d)
			case 2:
				if random.IntN(10) == 0 {
					if old != nil {
						last, old = turn{}, nil // once more
					} else if last.schedule != nil {
						old = model.clone()
					}
					rate = randomRate(random, burst)
					require.NoError(t, l.SetRate(rate))
					model.setRate(rate)
				}
			case 3:
				if last.schedule != nil && last.wait > 0 && random.IntN(2) == 0 {
					require.True(t, l.giveBack(last))
					if old != nil {
						old.add(big.NewRat(1, 1))
						old.setRate(rate)
						model = old
					} else {
						model.add(big.NewRat(1, 1))
					}
					last, old = turn{}, nil
				}
			default:
				most := time.Duration(random.Int64N(int64(maxWait) + 1))
				if random.IntN(2) == 0 {
					most = 0
				}
				wait := model.wait()
				got, ok := l.take(l.now(), most)
				if ok != (wait <= most) || max(got.wait, 0) != wait {
					t.Fatalf("seed %d round %d step %d: rate %v burst %d: wait %v %t for %v where the model has %v",
						seed, round, step, rate, burst, got.wait, ok, most, wait)
				}
				if ok {
					if old != nil && last.wait > 0 {
						require.False(t, l.giveBack(last), "after a later turn")
					}
					model.add(big.NewRat(-1, 1))
					last, old = got, nil
				}
			}
		}
	}
}

// The interval is the shortest whole number of nanoseconds that the rate allows, exactly.
func TestInterval(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]time.Duration{
		1: 1e9, 1e6: 1000, 1000: 1e6, 3: 333_333_334, 999_999: 1001, 0.1: 1e10, 0.5: 2e9, 7e5: 1429,
	} {
		assert.Equal(t, want, intervalOf(rate), "%v", rate)
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	second := new(big.Rat).SetInt64(1e9)
	for range 20_000 {
		rate := randomRate(random, 1)
		if random.IntN(2) == 0 { // beside a rate with a whole interval
			rate = max(min(math.Nextafter(1e9/math.Ceil(1e9/rate), float64(random.IntN(2))*1e9), MaxRate), MinRate)
		}
		exact := new(big.Rat).Quo(second, new(big.Rat).SetFloat64(rate))
		require.Equal(t, ceil(exact), int64(intervalOf(rate)), "seed %d rate %v", seed, rate)
	}
}
