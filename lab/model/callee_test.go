package model_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/lab/model"
	"github.com/observable-go/toolkit/lab/sim"
)

// offered is what came of calls: the mean time of those that were answered, and how many were and
// were not.
type offered struct {
	mean       time.Duration
	ok, failed int
	callee     *model.Callee
}

// offer makes calls at a rate for a while, each with a timeout.
func offer(c model.CalleeConfig, rate float64, span, timeout time.Duration, faults ...model.Fault) offered {
	w := sim.New(3)
	defer w.Close()
	callee := model.NewCallee(w, c, faults)
	ok, failed := 0, 0
	arrivals := model.Arrivals{Rate: rate}
	var total time.Duration
	w.Go(func() {
		for now := arrivals.Next(0, w.Rand()); now < span; now = arrivals.Next(now, w.Rand()) {
			w.Sleep(now - w.Elapsed())
			w.Go(func() {
				ctx, cancel := w.WithTimeoutCause(context.Background(), timeout, nil)
				defer cancel()
				began := w.Elapsed()
				if callee.Serve(ctx) != nil {
					failed++
					return
				}
				ok++
				total += w.Elapsed() - began
			})
		}
	})
	for _, f := range faults {
		w.At(f.To, callee.Refresh)
	}
	w.Run(span + time.Hour)
	return offered{total / time.Duration(max(ok, 1)), ok, failed, callee}
}

// A queue with one server and exponential times takes 1/(mu-lambda) on average (M/M/1), one
// with constant times (2-rho)/(2*mu*(1-rho)) (Pollaczek-Khinchine, M/D/1).
func TestQueuesAgreeWithTheory(t *testing.T) {
	t.Parallel()
	const mu = 100.0
	for _, rho := range []float64{0.3, 0.6, 0.8} {
		mean := offer(model.CalleeConfig{Service: model.Distribution{Mean: 10 * time.Millisecond}}, rho*mu, 1000*time.Second, time.Hour).mean
		assert.InEpsilon(t, 1/(mu-rho*mu), mean.Seconds(), 0.1, "M/M/1, %v", rho)
		constant := model.Distribution{Kind: model.Constant, Mean: 10 * time.Millisecond}
		mean = offer(model.CalleeConfig{Service: constant}, rho*mu, 1000*time.Second, time.Hour).mean
		assert.InEpsilon(t, (2-rho)/(2*mu*(1-rho)), mean.Seconds(), 0.1, "M/D/1, %v", rho)
	}
}

func TestDistributionsHaveTheirMean(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{model.Constant, model.Exponential, model.LogNormal, model.Uniform} {
		c := model.CalleeConfig{Servers: 100_000, Service: model.Distribution{Kind: kind, Mean: 10 * time.Millisecond}}
		mean := offer(c, 1000, 100*time.Second, time.Hour).mean
		assert.InEpsilon(t, 0.01, mean.Seconds(), 0.03, kind)
	}
}

// What a caller does not wait for is served in vain, or dropped when its turn comes.
func TestAbandonedRequests(t *testing.T) {
	t.Parallel()
	c := model.CalleeConfig{Service: model.Distribution{Kind: model.Constant, Mean: 10 * time.Millisecond}}
	served := offer(c, 200, 10*time.Second, time.Second)
	assert.Equal(t, served.callee.Arrived, served.callee.Served, "nothing is left out")
	assert.Equal(t, served.failed, served.callee.Wasted)
	assert.Greater(t, served.failed, 1000)
	c.Abandoned = model.Drop
	dropped := offer(c, 200, 10*time.Second, time.Second)
	assert.Less(t, dropped.callee.Served, dropped.ok+dropped.failed)
	assert.Greater(t, dropped.ok, served.ok*3/2, "its servers work for those who wait")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	one, none := 1, 0.0
	service := model.Distribution{Kind: model.Constant, Mean: time.Millisecond}
	half := func(f model.Fault) model.Fault { f.From, f.To = 0, 5*time.Second; return f }
	for name, tt := range map[string]struct {
		fault  model.Fault
		failed float64
	}{
		"down": {half(model.Fault{Down: true}), 0.5}, "failures": {half(model.Fault{Failures: 0.5}), 0.25},
		"slow": {half(model.Fault{Slow: 1000}), 0.5}, "capacity": {half(model.Fault{Capacity: &none}), 0.5},
		"one of three shards": {half(model.Fault{Down: true, Shard: &one}), 1.0 / 6},
	} {
		c := model.CalleeConfig{Servers: 100, Service: service, Abandoned: model.Drop}
		if tt.fault.Shard != nil {
			c.Shards = 3
		}
		o := offer(c, 1000, 10*time.Second, 50*time.Millisecond, tt.fault)
		assert.InDelta(t, tt.failed, float64(o.failed)/float64(o.ok+o.failed), 0.03, name)
	}
}

func TestThrottleAndQueue(t *testing.T) {
	t.Parallel()
	service := model.Distribution{Kind: model.Constant, Mean: 10 * time.Millisecond}
	throttled := offer(model.CalleeConfig{Servers: 100, Throttle: 50, Service: service}, 200, 20*time.Second, time.Hour)
	assert.InDelta(t, 50*20+50, throttled.ok, 5, "the rate, and a burst of a second")
	short := offer(model.CalleeConfig{Queue: 2, Service: service}, 1000, 10*time.Second, time.Hour)
	assert.InDelta(t, 1000, short.ok, 20)
	assert.Less(t, short.mean, 35*time.Millisecond)
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	count := func(a model.Arrivals, from, to time.Duration) (n int) {
		w := sim.New(5)
		for now := a.Next(0, w.Rand()); now < to; now = a.Next(now, w.Rand()) {
			if now >= from {
				n++
			}
		}
		return n
	}
	const span = 100 * time.Second
	assert.Equal(t, 999, count(model.Arrivals{Kind: model.Constant, Rate: 10}, 0, span))
	assert.InDelta(t, 10_000, count(model.Arrivals{Rate: 100}, 0, span), 300)
	burst := model.Arrivals{Rate: 100, Bursts: []model.Burst{{From: 0, To: 10 * time.Second, Factor: 3}}}
	assert.InDelta(t, 3000, count(burst, 0, 10*time.Second), 200)
	assert.InDelta(t, 9000, count(burst, 10*time.Second, span), 300)
	day := model.Arrivals{Rate: 100, Day: span, Swing: 1}
	assert.InDelta(t, 10_000, count(day, 0, span), 300)
	assert.Greater(t, count(day, 0, span/2), 3*count(day, span/2, span))
}
