package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// traffic is a stream of calls to one side by a bounded number of goroutines.
//
// Calls come at a steady rate whether or not those before have ended, as the users of
// a service do. Workers that call again as soon as an answer is there would slow down
// with the dependency, and hide how much load retries can make.
type traffic struct {
	client  *searchClient
	due     chan struct{}
	workers sync.WaitGroup
	calls   atomic.Int64 // made
	skipped atomic.Int64 // due while no worker was free
}

func newTraffic(client *searchClient) *traffic {
	return &traffic{client: client, due: make(chan struct{})}
}

// start starts the workers.
func (t *traffic) start(ctx context.Context, workers int) {
	for range workers {
		t.workers.Go(func() {
			for range t.due {
				t.calls.Add(1)
				// Nobody looks at the result here: the report comes from telemetry.
				_, _ = t.client.Search(ctx, "resilience")
			}
		})
	}
}

// offer hands a call to a worker that is free.
func (t *traffic) offer() {
	select {
	case t.due <- struct{}{}:
	default:
		t.skipped.Add(1)
	}
}

// stop waits for the calls under way to end. No call may be offered any more.
func (t *traffic) stop() {
	close(t.due)
	t.workers.Wait()
}

// drive makes the same calls to all sides until the plan is over or ctx is done, and
// waits for those under way.
func drive(ctx context.Context, t timeline, sides []*side) {
	for _, s := range sides {
		s.traffic.start(ctx, t.workers)
	}
	end := time.NewTimer(time.Until(t.began.Add(t.total())))
	defer end.Stop()
	next := time.NewTicker(t.interval)
	defer next.Stop()
	for more := true; more; {
		select {
		case <-next.C:
			for _, s := range sides {
				s.traffic.offer()
			}
		case <-end.C:
			more = false
		case <-ctx.Done():
			more = false
		}
	}
	for _, s := range sides {
		s.traffic.stop()
	}
}
