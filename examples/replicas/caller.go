package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// budgetName is the budget of calls to the callee, in telemetry and in Redis.
const budgetName = "callee"

// lease is shorter than the default of 5 s, so that an outage of seconds shows what becomes of the
// replicas when Redis is gone.
const lease = 2 * time.Second

// newClient returns the client by which a replica calls the callee. The budget is all that
// differs between the rounds. retried is called for each retry.
func newClient(b resilience.Budget, number int, retried func()) (*http.Client, error) {
	policy, err := retry.New("callee.get",
		retry.WithBudget(b),
		// Up to 3 retries, the default. Short delays put them into the outage that they are
		// to be seen in.
		retry.WithInitialDelay(20*time.Millisecond),
		retry.WithMaxDelay(100*time.Millisecond),
		retry.WithAttemptTimeout(10*time.Second),
		retry.WithOnRetry(func(context.Context, retry.Retry) { retried() }),
	)
	if err != nil {
		return nil, err
	}
	base := &http.Transport{MaxIdleConnsPerHost: 100}
	transport, err := retryhttp.New(policy, retryhttp.WithBase(base))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: sender{transport, strconv.Itoa(number)}}, nil
}

// newLocalBudget returns the budget of one process, with the default settings.
func newLocalBudget() (*budget.Budget, error) { return budget.New(budgetName) }

// newSharedBudget returns this process's share in the budget of all replicas. It has the default
// settings too, which are those of a local budget.
func newSharedBudget(client *redis.Client, a assignment) (*budgetredis.Budget, error) {
	opts := []budgetredis.Option{
		budgetredis.WithKeyPrefix(a.KeyPrefix),
		budgetredis.WithRefresh(lease / 4),
		budgetredis.WithLease(lease),
	}
	if a.Local {
		share, err := newShareOfBudget(a.Replicas)
		if err != nil {
			return nil, err
		}
		opts = append(opts, budgetredis.WithLocal(share))
	}
	return budgetredis.New(client, budgetName, opts...)
}

// newShareOfBudget returns the budget that decides in one of so many replicas while Redis is not
// there: its part of the floor and the burst. The ratio is of its own calls already.
func newShareOfBudget(replicas int) (*budget.Budget, error) {
	return budget.New(budgetName+".local",
		budget.WithFloor(budget.DefaultFloor/float64(replicas)),
		budget.WithBurst(max(budget.DefaultBurst/replicas, 1)),
	)
}

// newRedis returns a client of the Redis at that address.
func newRedis(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1})
}

// A sender says in each request who sends it.
type sender struct {
	next   http.RoundTripper
	number string
}

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(replicaHeader, s.number)
	return s.next.RoundTrip(r)
}

// get makes one call.
func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return errUnavailable
	}
	return fmt.Errorf("answer of status %d", answer.StatusCode)
}
