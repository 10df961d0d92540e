package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// maxInflight is how many orders the shoppers wait for at a time. An order beyond that is not
// placed: it is a shopper who sees the queue and leaves.
const maxInflight = 1000

// shoppers place orders at a steady rate, whatever comes of them: people do not wait for each
// other. They do not try again.
type shoppers struct {
	url    string
	client *http.Client
	seed   uint64
	chance *rand.Rand
	waits  sync.WaitGroup
	wake   chan struct{} // the rate has changed

	mu     sync.Mutex
	rate   float64 // orders a second
	counts orderCounts
}

// orderCounts are orders as the shoppers see them.
type orderCounts struct {
	Placed    int64 `json:"placed"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Skipped   int64 `json:"skipped"` // not placed, as too many others waited
	Inflight  int64 `json:"inflight"`
}

func newShoppers(storefront string, o options) *shoppers {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxInflight
	return &shoppers{
		url:    storefront + "/orders",
		client: &http.Client{Transport: transport, Timeout: shopperWaits(o.patience)},
		rate:   o.rate, seed: o.seed, chance: rand.New(rand.NewPCG(o.seed, 0)), wake: make(chan struct{}, 1),
	}
}

// shopperWaits is how long a shopper waits for an order. The storefront makes two calls for it, and
// gives up before a shopper does.
func shopperWaits(attempt time.Duration) time.Duration { return 3 * callTimeout(attempt) }

func (s *shoppers) setRate(rate float64) {
	s.mu.Lock()
	s.rate = rate
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shoppers) look() (rate float64, counts orderCounts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rate, s.counts
}

// shop places orders until the context is done, and returns when the last one is through.
func (s *shoppers) shop(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	defer s.waits.Wait()
	due := time.Now()
	for n := 1; s.waitFor(ctx, &due); n++ {
		if !s.enter() {
			continue
		}
		s.waits.Go(func() {
			// Not under the context: an order that was placed is waited for.
			s.leave(s.place(context.WithoutCancel(ctx), fmt.Sprintf("%d-%06d", s.seed, n)))
		})
	}
}

// longestGap bounds the seconds between two orders: a rate may be so low that they would be more
// than a duration holds.
const longestGap = 24 * 60 * 60

// waitFor waits until the next order is due. It returns false if the context is done.
func (s *shoppers) waitFor(ctx context.Context, due *time.Time) bool {
	for ctx.Err() == nil {
		rate, _ := s.look()
		var ready <-chan time.Time // never, if the rate is 0
		if rate > 0 {
			gap := time.Duration(min((0.5+s.chance.Float64())/rate, longestGap) * float64(time.Second))
			// What a busy machine has missed is made up for, but for a tenth of a second at most.
			*due = later(due.Add(gap), time.Now().Add(-100*time.Millisecond))
			ready = time.After(time.Until(*due))
		}
		select {
		case <-ready:
			return true
		case <-s.wake:
			*due = time.Now()
		case <-ctx.Done():
		}
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *shoppers) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.Inflight >= maxInflight {
		s.counts.Skipped++
		return false
	}
	s.counts.Placed++
	s.counts.Inflight++
	return true
}

func (s *shoppers) leave(satisfied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Inflight--
	if satisfied {
		s.counts.Succeeded++
	} else {
		s.counts.Failed++
	}
}

// place sends one order, and reports whether it was taken.
func (s *shoppers) place(ctx context.Context, id string) bool {
	body, err := json.Marshal(order{ID: id})
	if err != nil {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && answer.StatusCode == http.StatusCreated
}
