package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// A fleet is the replicas of a round.
type fleet struct{ replicas []*child }

// startFleet starts replicas, and waits until all are ready. On an error all have ended.
func startFleet(ctx context.Context, a assignment, errs io.Writer) (*fleet, error) {
	f := &fleet{}
	for number := 1; number <= a.Replicas; number++ {
		r, err := startChild(fmt.Sprint("replica ", number), roleReplica, errs)
		if err != nil {
			f.end()
			return nil, err
		}
		f.replicas = append(f.replicas, r)
		a.Number = number
		r.send(a)
	}
	for _, r := range f.replicas {
		if _, err := r.receive(ctx); err != nil {
			f.end()
			return nil, err
		}
	}
	return f, nil
}

func (f *fleet) start() {
	for _, r := range f.replicas {
		r.send(commandStart)
	}
}

// stop lets the replicas make no more calls, and returns what they counted and what became of
// their budgets when their calls have ended.
func (f *fleet) stop(ctx context.Context) (accounts []account, changes []change, err error) {
	for _, r := range f.replicas {
		r.send(commandStop)
	}
	for _, r := range f.replicas {
		for counted := false; !counted; {
			m, err := r.receive(ctx)
			if err != nil {
				return nil, nil, err
			}
			if m.Change != nil {
				changes = append(changes, *m.Change)
			}
			if m.Account != nil {
				accounts, counted = append(accounts, *m.Account), true
			}
		}
	}
	return accounts, changes, nil
}

// end ends all replicas.
func (f *fleet) end() {
	var ending sync.WaitGroup
	for _, r := range f.replicas {
		ending.Go(func() { r.end(5 * time.Second) })
	}
	ending.Wait()
}
