package adaptive_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/adaptive"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var second = backoff.Constant{Interval: time.Second, Jitter: backoff.NoJitter}

// observe tells d of an attempt n times.
func observe(d *adaptive.Delays, n int, class resilience.Class, throttled bool) {
	for range n {
		d.Observe(class, throttled)
	}
}

func TestFactor(t *testing.T) {
	t.Parallel()
	d := adaptive.MustNewDelays("d", second)
	assert.Zero(t, d.FailureRatio())
	assert.Equal(t, 500*time.Millisecond, d.Delay(0, 0, 0.5), "sporadic failures are retried sooner")
	for n := range 100 {
		f := 1 - math.Pow(15./16, float64(n))
		assert.InDelta(t, f, d.FailureRatio(), 1e-12, "after %d failures", n)
		assert.InDelta(t, 0.5*math.Pow(8, f), d.Factor(), 1e-12)
		assert.InDelta(t, 0.5*math.Pow(8, f), d.Delay(n, 0, 0.5).Seconds(), 1e-8)
		d.Observe(resilience.ClassRetryable, false)
	}
	observe(d, 1000, resilience.ClassRetryable, false)
	assert.Equal(t, 4*time.Second, d.Delay(0, 0, 0.5), "an outage stretches")
	observe(d, 16, resilience.ClassPermanent, false)
	assert.InDelta(t, math.Pow(15./16, 16), d.FailureRatio(), 1e-12)
	observe(d, 200, resilience.ClassUnknown, false)
	assert.Zero(t, d.FailureRatio(), "not only nearly")
	assert.Equal(t, 500*time.Millisecond, d.Delay(0, 0, 0.5))
}

func TestWhatIsObserved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		class     resilience.Class
		throttled bool
		want      float64 // from 1/2 on, with a weight of 1/2
	}{
		{resilience.ClassUnknown, false, 1. / 4},
		{resilience.ClassPermanent, false, 1. / 4},
		{resilience.ClassRetryable, false, 3. / 4},
		{resilience.ClassRefused, false, 1. / 2},
		{resilience.ClassRefused, true, 1. / 2},
		{resilience.ClassRetryable, true, 15. / 16},
		{resilience.ClassPermanent, true, 15. / 16},
		{resilience.ClassUnknown, true, 15. / 16},
	} {
		d := adaptive.MustNewDelays("d", second, adaptive.WithWeight(0.5))
		d.Observe(resilience.ClassRetryable, false)
		d.Observe(tt.class, tt.throttled)
		assert.InDelta(t, tt.want, d.FailureRatio(), 1e-12, "%v %v", tt.class, tt.throttled)
	}
	d := adaptive.MustNewDelays("d", second)
	three := adaptive.MustNewDelays("d", second)
	d.Observe(resilience.ClassRetryable, true)
	observe(three, 3, resilience.ClassRetryable, false)
	assert.InDelta(t, three.FailureRatio(), d.FailureRatio(), 1e-12, "throttling is three failures")
}

// The estimate of a callee that fails with the chance p lies about p: the variance of such
// an average is p * (1-p) * w / (2-w).
func TestEstimate(t *testing.T) {
	t.Parallel()
	const w, n = 1. / 16, 20_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, p := range []float64{0.05, 0.3, 0.5, 0.9} {
		d := adaptive.MustNewDelays("d", second)
		var sum, squares float64
		for i := range n + 200 {
			class := resilience.ClassUnknown
			if random.Float64() < p {
				class = resilience.ClassRetryable
			}
			d.Observe(class, false)
			if i >= 200 {
				sum += d.FailureRatio()
				squares += d.FailureRatio() * d.FailureRatio()
			}
		}
		mean := sum / n
		assert.InDelta(t, p, mean, 0.02, "p %v", p)
		assert.InEpsilon(t, p*(1-p)*w/(2-w), squares/n-mean*mean, 0.15, "p %v", p)
	}
}

// More failures never make a delay shorter, nor more successes longer.
func TestMonotone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 9))
		weight := 0.001 + 0.999*random.Float64()
		make2 := func() *adaptive.Delays { return adaptive.MustNewDelays("d", second, adaptive.WithWeight(weight)) }
		better, worse := make2(), make2()
		for range 300 {
			switch random.IntN(4) {
			case 0:
				better.Observe(resilience.ClassUnknown, false)
				worse.Observe(resilience.ClassRetryable, false)
			case 1:
				better.Observe(resilience.ClassRetryable, false)
				worse.Observe(resilience.ClassRetryable, true)
			case 2:
				observe(better, 2, resilience.ClassPermanent, false)
				worse.Observe(resilience.ClassPermanent, false)
			default:
				before := worse.FailureRatio()
				worse.Observe(resilience.ClassRetryable, false)
				require.GreaterOrEqual(t, worse.FailureRatio(), before, "seed %d", seed)
			}
			require.LessOrEqual(t, better.FailureRatio(), worse.FailureRatio(), "seed %d", seed)
			require.LessOrEqual(t, better.Delay(0, 0, 0), worse.Delay(0, 0, 0), "seed %d", seed)
		}
	}
}

func TestDelayBounds(t *testing.T) {
	t.Parallel()
	longest := backoff.Func(func(int, time.Duration, float64) time.Duration { return math.MaxInt64 })
	d := adaptive.MustNewDelays("d", longest, adaptive.WithFactors(1, 100), adaptive.WithMaxDelay(24*time.Hour))
	observe(d, 1000, resilience.ClassRetryable, true)
	assert.Equal(t, 24*time.Hour, d.Delay(0, math.MaxInt64, 0), "no overflow")
	assert.Equal(t, 2*time.Minute, adaptive.MustNewDelays("d", longest).Delay(0, 0, 0), "by default")

	// What a custom backoff returns below 0 is no delay.
	assert.Zero(t, adaptive.MustNewDelays("d", negative{}).Delay(0, 0, 0))
}

type negative struct{}

func (negative) Delay(int, time.Duration, float64) time.Duration { return -time.Second }

// A base that builds on the delay before is not stretched twice: between 1 s and three
// times the one before it draws what it would draw by itself, times the factor.
func TestDecorrelatedIsStretchedOnce(t *testing.T) {
	t.Parallel()
	base := backoff.Decorrelated{Initial: time.Second, Max: time.Minute}
	d := adaptive.MustNewDelays("d", base, adaptive.WithMaxDelay(time.Hour))
	observe(d, 1000, resilience.ClassRetryable, false)
	var plain, stretched time.Duration
	for n := range 20 {
		plain, stretched = base.Delay(n, plain, 0.6), d.Delay(n, stretched, 0.6)
		assert.InEpsilon(t, 4*plain.Seconds(), stretched.Seconds(), 1e-6, n)
	}
	assert.Equal(t, 4*time.Minute, stretched)
}

func TestDelaysUnderRace(t *testing.T) {
	t.Parallel()
	d := adaptive.MustNewDelays("d", second)
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			for i := range 2000 {
				d.Observe(resilience.Class((w+i)%4), i%7 == 0)
				f := d.FailureRatio()
				assert.True(t, f >= 0 && f <= 1, f)
				delay := d.Delay(i, time.Duration(i), 0.5)
				assert.True(t, delay >= time.Second/2 && delay <= 4*time.Second, delay)
			}
		})
	}
	group.Wait()
	assert.Positive(t, d.FailureRatio())
}

func TestDelaysTelemetry(t *testing.T) {
	t.Parallel()
	signals := signaltest.New()
	d := adaptive.MustNewDelays("d", second, adaptive.WithTelemetry(signals.Metrics()...))
	assert.Equal(t, map[string]float64{"resilience.delays.factor d": 0.5, "resilience.delays.failure_ratio d": 0}, signals.All(t))
	observe(d, 1000, resilience.ClassRetryable, false)
	assert.Equal(t, map[string]float64{"resilience.delays.factor d": 4, "resilience.delays.failure_ratio d": 1}, signals.All(t))
}

func TestDelaysDoNotAllocate(t *testing.T) {
	d := adaptive.MustNewDelays("d", second)
	class := resilience.ClassUnknown
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		d.Observe(class, false)
		_ = d.Delay(1, 0, 0.5)
		class = resilience.ClassRetryable - class
	}))
}

// Whatever is observed and asked, the factor and every delay are within their bounds.
func FuzzDelays(f *testing.F) {
	f.Add([]byte{1, 5, 2, 0, 9}, 0.0625, 0.5, 4.0, int64(time.Second), int64(time.Minute), 3)
	f.Add([]byte{255, 0}, 1.0, 1.0, 1.0, int64(math.MaxInt64), int64(1), -1)
	f.Add([]byte{10}, 0.984375, 0.5, 4.0, int64(time.Second), int64(time.Minute), 3) // comes so close to 1 that it is 1
	f.Fuzz(func(t *testing.T, told []byte, weight, least, most float64, base, limit int64, n int) {
		d, err := adaptive.NewDelays("d", backoff.Func(func(int, time.Duration, float64) time.Duration {
			return time.Duration(base)
		}), adaptive.WithWeight(weight), adaptive.WithFactors(least, most), adaptive.WithMaxDelay(time.Duration(limit)), adaptive.WithTelemetry(telemetry.Off()))
		if err != nil {
			t.Skip("these options are not allowed")
		}
		for _, b := range told {
			before := d.FailureRatio()
			d.Observe(resilience.Class(b%5), b&8 != 0)
			after := d.FailureRatio()
			require.True(t, after >= 0 && after <= 1, after)
			const rounded = 1e-5 // so close to 0 or 1 the ratio is that
			require.Less(t, math.Abs(after-before), 1-(1-weight)*(1-weight)*(1-weight)+rounded+1e-9)
			factor := d.Factor()
			require.True(t, factor >= least && factor <= most, factor)
			delay := d.Delay(n, time.Duration(base), float64(b)/256)
			require.True(t, delay >= 0 && delay <= time.Duration(limit), delay)
			if base >= 0 && delay < time.Duration(limit) {
				require.LessOrEqual(t, delay.Seconds(), time.Duration(base).Seconds()*most*(1+1e-12))
				require.GreaterOrEqual(t, delay.Seconds(), time.Duration(base).Seconds()*least*(1-1e-12)-1e-9)
			}
		}
	})
}
