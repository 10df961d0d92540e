package scenario

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Report is what the policies of a scenario did, over all seeds.
type Report struct {
	Scenario *Scenario `json:"-"`
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Source   string    `json:"source"`
	Seeds    int       `json:"seeds"`
	Duration float64   `json:"duration_seconds"`
	// Faults are the spans of faults and bursts, in seconds.
	Faults [][2]float64 `json:"faults"`
	// Interval is the time between two values of a series, in seconds.
	Interval float64         `json:"interval_seconds"`
	Policies []*PolicyReport `json:"policies"`
	// Expects is whether the scenario has expectations, and Broken are those that were not met.
	Expects bool     `json:"expects"`
	Broken  []string `json:"broken"`
}

// A PolicyReport is what one policy did.
type PolicyReport struct {
	Name   string `json:"name"`
	GoCode string `json:"go"`
	// Bands of the series over the seeds, by the names of [Series].
	Series map[string]Band `json:"series"`
	// Figures over the seeds, by the names of [Summary].
	Figures map[string]Figure `json:"figures"`
	// Reasons are the calls that failed in all runs, by why.
	Reasons map[string]int `json:"reasons"`
	// Recovered is how many runs recovered.
	Recovered int    `json:"recovered"`
	Runs      []*Run `json:"-"`
}

// A Band is a series over the seeds: the tenth percentile, the median and the ninetieth. NaN, of
// which JSON has none, is -1 there: no series has negative values.
type Band struct {
	Low  []float64 `json:"low"`
	Mid  []float64 `json:"mid"`
	High []float64 `json:"high"`
}

// A Figure is a number over the seeds.
type Figure struct {
	Low  float64 `json:"low"`
	Mid  float64 `json:"mid"`
	High float64 `json:"high"`
}

// Compare runs each policy with each seed, on all processors. Progress, which may be nil, is
// called by several goroutines with the share that is done. The report depends on the scenario
// alone.
func (s *Scenario) Compare(ctx context.Context, progress func(share float64)) (*Report, error) {
	seeds := s.Seeds
	if seeds == 0 {
		seeds = DefaultSeeds
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	runs := make([]*Run, len(s.Policies)*seeds)
	var done atomic.Int64 // in millionths of a run
	told := func(was *float64) func(float64) {
		return func(share float64) {
			all := done.Add(int64((share - *was) * 1e6))
			*was = share
			if progress != nil {
				progress(float64(all) / 1e6 / float64(len(runs)))
			}
		}
	}
	var group sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, len(runs))
	for range min(runtime.GOMAXPROCS(0), len(runs)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(runs); i = int(next.Add(1)) - 1 {
				r, err := s.Simulate(ctx, &s.Policies[i/seeds], s.Seed+uint64(i%seeds), told(new(float64))) //nolint:gosec // it is below MaxSeeds
				if err != nil {
					errs <- err
					stop()
					return
				}
				runs[i] = r
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	report := &Report{
		Scenario: s, Name: s.Name, Title: s.Title, Source: s.Source, Seeds: seeds,
		Duration: s.Duration.Seconds(), Faults: [][2]float64{}, Interval: newMeter(s.Duration).interval.Seconds(),
	}
	for _, span := range s.troubles() {
		report.Faults = append(report.Faults, [2]float64{span[0].Seconds(), span[1].Seconds()})
	}
	for i := range s.Policies {
		report.Policies = append(report.Policies, newPolicyReport(&s.Policies[i], runs[i*seeds:(i+1)*seeds]))
	}
	report.Expects = s.Expect != (Thresholds{})
	report.Broken = append([]string{}, s.Expect.broken(report)...)
	return report, nil
}

func newPolicyReport(p *Policy, runs []*Run) *PolicyReport {
	report := &PolicyReport{
		Name: p.Name, GoCode: p.GoCode(), Runs: runs, Reasons: make(map[string]int),
		Series: map[string]Band{
			"calls":    band(runs, func(r *Run) []float64 { return r.Calls }),
			"requests": band(runs, func(r *Run) []float64 { return r.Requests }),
			"goodput":  band(runs, func(r *Run) []float64 { return r.Goodput }),
			"failed":   band(runs, func(r *Run) []float64 { return r.Failed }),
			"p50":      band(runs, func(r *Run) []float64 { return r.P50 }),
			"p99":      band(runs, func(r *Run) []float64 { return r.P99 }),
			"waiting":  band(runs, func(r *Run) []float64 { return r.Waiting }),
			"tokens":   band(runs, func(r *Run) []float64 { return r.Tokens }),
			"open":     band(runs, func(r *Run) []float64 { return r.Open }),
		},
		Figures: map[string]Figure{
			"amplification":      figure(runs, func(r *Run) float64 { return r.Amplification }),
			"peak_amplification": figure(runs, func(r *Run) float64 { return r.Peak }),
			"success":            figure(runs, func(r *Run) float64 { return r.Success }),
			"recovery_seconds":   figure(runs, recoveryOf),
			"total_calls":        figure(runs, func(r *Run) float64 { return float64(r.TotalCalls) }),
			"total_requests":     figure(runs, func(r *Run) float64 { return float64(r.TotalRequests) }),
			"wasted":             figure(runs, func(r *Run) float64 { return float64(r.Wasted) }),
			"completion_seconds": figure(runs, func(r *Run) float64 { return r.Completion }),
			"mean_latency":       figure(runs, func(r *Run) float64 { return r.MeanSecs }),
			"p99_latency":        figure(runs, func(r *Run) float64 { return r.Tail99 }),
			"p999_latency":       figure(runs, func(r *Run) float64 { return r.Tail999 }),
		},
	}
	for _, r := range runs {
		for reason, n := range r.Reasons {
			report.Reasons[reason] += n
		}
		if r.Recovery >= 0 {
			report.Recovered++
		}
	}
	return report
}

// never is longer than any run: how long one takes that does not recover.
const never = 1e9

func recoveryOf(r *Run) float64 {
	if r.Recovery < 0 {
		return never
	}
	return r.Recovery
}

// band returns the band of a series.
func band(runs []*Run, of func(*Run) []float64) Band {
	b := Band{make([]float64, Points), make([]float64, Points), make([]float64, Points)}
	for i := range Points {
		f := figure(runs, func(r *Run) float64 { return of(r)[i] })
		b.Low[i], b.Mid[i], b.High[i] = f.Low, f.Mid, f.High
	}
	return b
}

// figure returns quantiles of a number over the runs that have it.
func figure(runs []*Run, of func(*Run) float64) Figure {
	values := make([]float64, 0, len(runs))
	for _, r := range runs {
		if v := of(r); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return Figure{-1, -1, -1}
	}
	slices.Sort(values)
	at := func(share float64) float64 {
		place := share * float64(len(values)-1)
		i := int(place)
		if i+1 == len(values) {
			return values[i]
		}
		return values[i] + (place-float64(i))*(values[i+1]-values[i])
	}
	return Figure{at(0.1), at(0.5), at(0.9)}
}

// broken returns what was expected and is not so.
func (t *Thresholds) broken(r *Report) (broken []string) {
	for _, p := range r.Policies {
		say := func(field string, is, want string) {
			broken = append(broken, fmt.Sprintf("%s: %s is %s: want %s", p.Name, field, is, want))
		}
		if most := t.MaxAmplification; most != nil && p.Figures["amplification"].Mid > *most {
			say("amplification", fmt.Sprintf("%.3f", p.Figures["amplification"].Mid), fmt.Sprintf("%.3f at most", *most))
		}
		if most := t.MaxRecovery; most != nil {
			if took := p.Figures["recovery_seconds"].Mid; took >= never/2 {
				say("recovery", "not there by the end", most.String()+" at most")
			} else if took > most.Seconds() {
				say("recovery", time.Duration(took*float64(time.Second)).Round(time.Millisecond).String(), most.String()+" at most")
			}
		}
		if least := t.MinSuccess; least != nil && p.Figures["success"].Mid < *least {
			say("success", fmt.Sprintf("%.4f", p.Figures["success"].Mid), fmt.Sprintf("%.4f at least", *least))
		}
	}
	return broken
}
