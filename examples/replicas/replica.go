package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/contrib/budgetredis"
	"github.com/observable-go/toolkit/resilience"
)

var errUnavailable = errors.New("the callee is unavailable")

const (
	// maxUnderWay bounds the calls of a replica at a time, on a machine that is too busy for them.
	maxUnderWay = 50
	// loggedErrors is how many errors a replica writes at most.
	loggedErrors = 3
	// modeInterval is how often a replica looks at the mode of its budget.
	modeInterval = 100 * time.Millisecond
)

// redisPatience is how long a replica waits at its start for the first exchange with Redis.
const redisPatience = 20 * time.Second

// A replica makes calls at a steady rate, and counts them.
type replica struct {
	assignment

	client *http.Client
	budget *budgetredis.Budget // nil: it is a local one
	out    *json.Encoder
	log    *log.Logger

	calls, retries, unavailable, unanswered, skipped atomic.Int64
}

// runReplica is the whole life of a replica: it reads its assignment and its commands, and writes
// messages. It ends when in does.
func runReplica(in io.Reader, out io.Writer) error {
	commands := json.NewDecoder(in)
	r := &replica{out: json.NewEncoder(out)}
	if err := commands.Decode(&r.assignment); err != nil {
		return fmt.Errorf("assignment: %w", err)
	}
	r.log = log.New(os.Stderr, fmt.Sprintf("replica %d: ", r.Number), 0)
	closeBudget, err := r.open()
	if err != nil {
		return err
	}
	defer closeBudget()
	if err := r.awaitRedis(); err != nil {
		return err
	}
	r.say(message{Ready: true})
	if !await(commands, commandStart) {
		return nil // the parent has ended
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() { r.watchMode(ctx) })
	go func() {
		if !await(commands, commandStop) {
			r.log.SetOutput(io.Discard) // the callee has ended with the parent
		}
		stop()
	}()
	r.callUntil(ctx)
	watching.Wait()
	r.say(message{Account: r.account()})
	return nil
}

func (r *replica) say(m message) {
	if err := r.out.Encode(m); err != nil {
		r.log.Print(err)
	}
}

// await waits for a command, and reports whether it came before the parent ended.
func await(commands *json.Decoder, want command) bool {
	var got command
	return commands.Decode(&got) == nil && got == want
}

// open makes the budget and the client, and returns what closes them.
func (r *replica) open() (closeBudget func(), err error) {
	var b resilience.Budget
	closeBudget = func() {}
	if r.Redis == "" {
		b, err = newLocalBudget()
	} else {
		client := newRedis(r.Redis)
		r.budget, err = newSharedBudget(client, r.assignment)
		b = r.budget
		closeBudget = func() {
			_ = r.budget.Close()
			_ = client.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	r.client, err = newClient(b, r.Number, func() { r.retries.Add(1) })
	return closeBudget, err
}

// awaitRedis waits until the budget is that of all replicas, so that a round begins with it.
func (r *replica) awaitRedis() error {
	if r.budget == nil {
		return nil
	}
	ticker := time.NewTicker(modeInterval)
	defer ticker.Stop()
	for began := time.Now(); r.budget.Mode() != budgetredis.Shared; <-ticker.C {
		if time.Since(began) > redisPatience {
			return fmt.Errorf("the Redis at %s does not answer", r.Redis)
		}
	}
	return nil
}

// callUntil makes calls until ctx ends, and returns when all have ended.
func (r *replica) callUntil(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	free := make(chan struct{}, maxUnderWay)
	interval := time.Second / time.Duration(r.Rate)
	// The replicas take turns, so that their calls do not come at the same time.
	turn := time.NewTimer(interval * time.Duration(r.Number-1) / time.Duration(r.Replicas))
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-ctx.Done():
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case free <- struct{}{}:
			calls.Go(func() {
				r.call()
				<-free
			})
		default:
			r.skipped.Add(1)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (r *replica) call() {
	r.calls.Add(1)
	err := get(context.Background(), r.client, r.Callee)
	switch {
	case errors.Is(err, errUnavailable):
		r.unavailable.Add(1)
	case err != nil:
		if r.unanswered.Add(1) <= loggedErrors {
			r.log.Print(err)
		}
	}
}

// watchMode tells of each change of the mode of the budget.
func (r *replica) watchMode(ctx context.Context) {
	if r.budget == nil {
		return
	}
	ticker := time.NewTicker(modeInterval)
	defer ticker.Stop()
	for mode := budgetredis.Shared; ctx.Err() == nil; <-ticker.C {
		if now := r.budget.Mode(); now != mode {
			r.say(message{Change: &change{time.Now(), mode.String(), now.String()}})
			mode = now
		}
	}
}

func (r *replica) account() *account {
	return &account{
		Calls: int(r.calls.Load()), Retries: int(r.retries.Load()),
		Unavailable: int(r.unavailable.Load()), Unanswered: int(r.unanswered.Load()), Skipped: int(r.skipped.Load()),
	}
}

// quiet keeps back the lines of go-redis for each connection that cannot be made: an error or the
// change of the mode says that Redis is gone.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func keepRedisQuiet() { redis.SetLogger(quiet{}) }
