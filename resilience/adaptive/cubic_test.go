package adaptive

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const exact = 1e-9

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// The numbers of this file are those of the tests of the AWS SDKs:
//
//   - aws-sdk-go-v2, aws/retry/adaptive_ratelimit_test.go, TestAdaptiveRateLimit_cubic and _Update
//     at commit 6925d1e9c5e5f672bcc3ee9d60cf71c223418309
//   - botocore, tests/unit/retries/test_throttling.py and test_bucket.py at commit
//     5f5b537aba85030536a02ba208b9904912aa78e4, test_adaptive.py at 02eb74286b9df0c7edf36acc270e38d731ab7cfe

// TestAdaptiveRateLimit_cubic: from 10 calls/s and a throttling answer at 5 s on.
func TestCubicSeries(t *testing.T) {
	t.Parallel()
	type step struct {
		seconds   int64
		throttled bool
		rate      float64
	}
	for name, steps := range map[string][]step{
		"success": {
			{5, false, 7}, {6, false, 9.64893600966}, {7, false, 10.000030849917364}, {8, false, 10.453284520772092},
			{9, false, 13.408697022224185}, {10, false, 21.26626835427364}, {11, false, 36.425998516920465},
		},
		"mixed": {
			{5, false, 7}, {6, false, 9.64893600966}, {7, true, 6.754255206761999}, {8, true, 4.727978644733399},
			{9, false, 4.670125557970046}, {10, false, 4.770870456867401}, {11, false, 6.011819748005445},
			{12, false, 10.792973431384178},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cubic{lastMax: 10, lastThrottle: 5 * time.Second}
			var rate float64
			for _, s := range steps {
				now := time.Duration(s.seconds) * time.Second
				if s.throttled {
					rate = c.shrink(now, rate)
					c.lastMax = rate // as that test does: it feeds back the result, not the rate before
				} else {
					rate = c.grow(now)
				}
				assert.InDelta(t, s.rate, rate, exact, "%d s", s.seconds)
			}
		})
	}
}

// update is one line of the table of TestAdaptiveRateLimit_Update.
type update struct {
	ms        int64
	throttled bool
	measured  float64
	rate      float64
}

var updates = []update{
	{200, false, 0, 0.5},
	{400, false, 0, 0.5},
	{600, false, 4.8, 0.5},
	{800, false, 4.8, 0.5},
	{1000, false, 4.16, 0.5},
	{1200, false, 4.16, 0.6912},
	{1400, false, 4.16, 1.0976},
	{1600, false, 5.632, 1.6384},
	{1800, false, 5.632, 2.3328},
	{2000, true, 4.3264, 3.02848},
	{2200, false, 4.3264, 3.4866391734702598},
	{2400, false, 4.3264, 3.8218744160402554},
	{2600, false, 5.665280, 4.053385727709987},
	{2800, false, 5.665280, 4.200373108479455},
	{3000, false, 4.333056, 4.282036558348658},
	{3200, true, 4.333056, 2.99742559084406},
	{3400, false, 4.333056, 3.4522263943863463},
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	var c cubic
	calls := int64(0)
	for _, u := range updates {
		calls++
		if c.measure(ms(u.ms), calls) {
			calls = 0
		}
		if u.throttled {
			c.throttled(ms(u.ms))
		} else {
			c.succeeded(ms(u.ms))
		}
		assert.InDelta(t, u.measured, c.measured, exact, "measured at %d ms", u.ms)
		assert.InDelta(t, u.rate, c.rate, exact, "new rate at %d ms", u.ms)
	}
}

// TestCubicCalculator of botocore.
func TestCubicCalculator(t *testing.T) {
	t.Parallel()
	c := cubic{lastMax: 10}
	assert.InDelta(t, 1.9574338205844317, c.plateau(), exact)
	assert.InDelta(t, 10, c.grow(time.Duration(c.plateau()*float64(time.Second))), 1e-8, "to the nanosecond")
	assert.InDelta(t, 5.6, c.shrink(time.Second, 8), exact)
	assert.InDelta(t, 1.8171205928321397, c.plateau(), exact)
	assert.InDelta(t, 5.6, c.grow(time.Second), exact, "it starts where it was left")
}

// TestRateClocker of botocore.
func TestRateClocker(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at       []float64 // seconds
		measured float64
		delta    float64
	}{
		"none":                  {nil, 0, 0},
		"one after a second":    {[]float64{1}, 0.8, exact},
		"a constant rate":       {[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, 1, 1e-7},
		"the newest weigh more": {[]float64{1, 1.5, 2, 2.5, 3, 3.5, 4}, 1.995, 0.005},
		"all in one bucket":     {[]float64{0.1, 0.2, 0.3, 0.4, 0.49}, 0, 0},
		"one bucket is over":    {[]float64{0.1, 0.2, 0.3, 0.4, 0.49, 0.5}, 9.6, exact},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c cubic
			calls := int64(0)
			for _, at := range tt.at {
				calls++
				if c.measure(time.Duration(at*float64(time.Second)), calls) {
					calls = 0
				}
			}
			assert.InDelta(t, tt.measured, c.measured, tt.delta)
		})
	}
}

// TestTokenBucket of botocore, where it concerns what we have.
func TestTokenBucket(t *testing.T) {
	t.Parallel()
	full := func(rate float64) *cubic {
		c := &cubic{measured: math.MaxFloat64}
		c.setRate(0, rate)
		c.limited = true
		return c
	}
	c := full(10)
	require.True(t, c.take(ms(100)))
	assert.False(t, c.take(ms(150)))
	assert.Equal(t, ms(50), c.wait(ms(150), 1))
	assert.Equal(t, ms(150), c.wait(ms(150), 2))
	assert.True(t, c.take(ms(200)))
	assert.False(t, c.take(ms(299)))
	assert.True(t, c.take(ms(300)))

	c = full(10)
	for i := range 20 { // as fast as the rate is
		assert.True(t, c.take(time.Second+time.Duration(i)*100*time.Millisecond))
	}

	c = full(10)
	c.tokens = 0
	c.setRate(ms(200), 2)
	assert.InDelta(t, 2, c.tokens, exact, "what came in before came in at the old rate")

	c = full(10)
	assert.Zero(t, c.wait(time.Minute, 10), "it holds a second's worth")
	assert.Equal(t, ms(100), c.wait(time.Minute, 11))
	c.setRate(time.Minute, 0.2)
	assert.InDelta(t, 0.5, c.rate, 0, "no less than half a call a second")
	assert.InDelta(t, 1, c.capacity, 0)
	require.True(t, c.take(time.Minute))
	assert.False(t, c.take(time.Minute))
	assert.Equal(t, 2*time.Second, c.wait(time.Minute, 1))
	assert.False(t, c.take(time.Minute-time.Second), "time that goes back brings nothing")
	assert.Equal(t, time.Duration(math.MaxInt64), saturate(1e300))
	assert.Positive(t, c.wait(time.Minute, math.MaxInt))
}

// Whatever comes, the numbers stay within their bounds.
func TestCubicBounds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 3))
		var c cubic
		var now time.Duration
		calls := int64(0)
		for range 500 {
			calls += random.Int64N(1 << random.IntN(20))
			now += time.Duration(random.Int64N(1 << random.IntN(45)))
			at := now - time.Duration(random.Int64N(1<<random.IntN(35))) // goroutines overtake each other
			at = max(at, 0)
			if c.measure(at, calls) {
				calls = 0
			}
			if random.IntN(4) == 0 {
				before, measured := c.rate, c.measured
				limited := c.limited
				c.throttled(at)
				if limited {
					require.LessOrEqual(t, c.rate, max(beta*min(before, measured), minRate)+exact, "seed %d", seed)
				}
			} else {
				c.succeeded(at)
			}
			for range random.IntN(3) {
				if wait := c.wait(at, 1); c.take(at) {
					require.Zero(t, wait, "seed %d", seed)
				} else {
					require.Positive(t, wait, "seed %d", seed)
				}
			}
			require.GreaterOrEqual(t, c.rate, minRate, "seed %d", seed)
			require.LessOrEqual(t, c.rate, max(minRate, headroom*c.measured), "seed %d", seed)
			require.GreaterOrEqual(t, c.tokens, 0.0, "seed %d", seed)
			require.LessOrEqual(t, c.tokens, c.capacity, "seed %d", seed)
			require.GreaterOrEqual(t, c.capacity, minCapacity, "seed %d", seed)
			require.False(t, math.IsNaN(c.rate+c.measured+c.tokens) || math.IsInf(c.rate+c.measured, 0), "seed %d", seed)
		}
	}
}
