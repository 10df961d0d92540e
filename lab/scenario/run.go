package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/lab/model"
	"github.com/observable-go/toolkit/lab/sim"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

// step is how much time of the world passes between two looks at whether anybody still waits
// for the result.
const steps = Points

// Simulate runs the scenario with one of its policies and one seed. Progress, which may be nil,
// is called with the share that is done. The scenario is valid. It ends early, with its error,
// when ctx does.
func (s *Scenario) Simulate(ctx context.Context, p *Policy, seed uint64, progress func(share float64)) (*Run, error) {
	w := sim.New(seed)
	defer w.Close()
	e, err := newExperiment(s, p, w)
	if err != nil {
		return nil, err
	}
	e.start()
	for i := range steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w.Run(min(time.Duration(i+1)*e.meter.interval, s.Duration))
		e.look(i)
		if progress != nil {
			progress(float64(i+1) / steps)
		}
	}
	return e.meter.run(s, seed, e.callee.Wasted), nil
}

// An experiment is a scenario under way.
type experiment struct {
	scenario *Scenario
	world    *sim.World
	meter    *meter
	callee   *model.Callee
	clients  []*client
	layers   [][]*client // the services between the clients and the callee, each with replicas
	turn     int
	budgets  []*budget.Budget
}

func newExperiment(s *Scenario, p *Policy, w *sim.World) (*experiment, error) {
	e := &experiment{scenario: s, world: w, meter: newMeter(s.Duration), callee: model.NewCallee(w, s.Callee, s.Faults)}
	for layer := range max(s.Callers.Layers, 1) {
		clients, err := e.newLayer(p)
		if err != nil {
			return nil, err
		}
		if layer == 0 {
			e.clients = clients
		} else {
			e.layers = append(e.layers, clients)
		}
	}
	return e, nil
}

// newLayer makes the clients of a layer, with a budget of all if it is shared.
func (e *experiment) newLayer(p *Policy) (clients []*client, err error) {
	var shared *budget.Budget
	if p.Budget != nil && p.Budget.Shared {
		if shared, err = p.newBudget(e.world); err != nil {
			return nil, err
		}
		e.budgets = append(e.budgets, shared)
	}
	for range max(e.scenario.Callers.Clients, 1) {
		c, err := p.client(e.world, shared)
		if err != nil {
			return nil, err
		}
		if c.budget != nil && shared == nil {
			e.budgets = append(e.budgets, c.budget)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// start begins the calls.
func (e *experiment) start() {
	for _, f := range e.scenario.Faults {
		e.world.At(f.To, e.callee.Refresh)
	}
	callers := &e.scenario.Callers
	if callers.Open != nil {
		e.world.Go(e.open)
		return
	}
	for _, c := range e.clients {
		for range max(callers.Closed.Workers, 1) {
			e.world.Go(func() { e.closed(c) })
		}
	}
}

// open has calls come by themselves.
func (e *experiment) open() {
	w, n := e.world, 0
	arrivals := e.scenario.Callers.Open
	for now := arrivals.Next(0, w.Rand()); now < e.scenario.Duration; now = arrivals.Next(now, w.Rand()) {
		w.Sleep(now - w.Elapsed())
		c := e.clients[n]
		if n++; n == len(e.clients) {
			n = 0
		}
		w.Go(func() { e.call(c) })
	}
}

// closed makes one call after the other.
func (e *experiment) closed(c *client) {
	closed := e.scenario.Callers.Closed
	for i := 0; closed.Calls == 0 || i < closed.Calls; i++ {
		if think := closed.Think.Sample(e.world.Rand()); think > 0 {
			e.world.Sleep(think)
		}
		e.call(c)
	}
}

// call makes one call and measures it.
func (e *experiment) call(c *client) {
	began := e.world.Elapsed()
	e.meter.calls[e.meter.at(began)]++
	ctx := context.Background()
	if d := e.scenario.Callers.Deadline; d > 0 {
		limited, cancel := e.world.WithTimeoutCause(ctx, d, nil)
		defer cancel()
		ctx = limited
	}
	err := c.do(ctx, e.operation(0))
	e.meter.end(began, e.world.Elapsed(), err == nil)
	if err != nil {
		e.meter.reasons[reason(err)]++
	}
}

// operation is what a layer does: it calls the next one, and the last one calls the callee.
func (e *experiment) operation(layer int) resilience.Operation {
	if layer == len(e.layers) {
		return func(ctx context.Context) error {
			e.meter.requests[e.meter.at(e.world.Elapsed())]++
			return e.callee.Serve(ctx)
		}
	}
	replicas := e.layers[layer]
	next := e.operation(layer + 1)
	return func(ctx context.Context) error {
		e.turn++
		err := replicas[e.turn%len(replicas)].do(ctx, next)
		if err != nil && e.scenario.Callers.Blind {
			return model.ErrFailed
		}
		return err
	}
}

// reason is why a call was not retried any more.
func reason(err error) string {
	var gaveUp *retry.Error
	if !errors.As(err, &gaveUp) {
		return resilience.ErrorType(err)
	}
	for name, is := range map[string]error{
		"max_retries": retry.ErrExhausted, "budget": retry.ErrBudgetExhausted,
	} {
		if errors.Is(gaveUp.Reason, is) {
			return name
		}
	}
	return fmt.Sprint(gaveUp.Reason)
}

// look notes the levels at the end of an interval.
func (e *experiment) look(i int) {
	e.meter.waiting[i] = float64(e.callee.Waiting())
	for _, b := range e.budgets {
		e.meter.tokens[i] += b.Tokens() / float64(len(e.budgets))
	}
	breakers, open := 0, 0
	for _, c := range e.clients {
		if c.breaker != nil {
			breakers++
			if s := c.breaker.State().String(); s != "closed" {
				open++
			}
		}
	}
	if breakers > 0 {
		e.meter.open[i] = float64(open) / float64(breakers)
	}
}
