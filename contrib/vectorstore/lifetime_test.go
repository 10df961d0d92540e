package vectorstore_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	assert.NoError(t, c.Health(t.Context()))
	f.fail("HealthCheck", unavailable)
	assert.Equal(t, codes.Unavailable, status.Code(c.Health(t.Context())))
	assert.Equal(t, 2, f.attempts("HealthCheck"), "a probe tells what is now")
}

func TestNewAsksNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	newClient(t, f)
	assert.Empty(t, f.calls)
	assert.Zero(t, f.connections())
}

// A Config without a retry has that of the preset; one that sets something keeps the rest of it.
func TestRetryOfTheConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retry    retry.Config
		attempts int
	}{
		"preset":     {retry.Config{}, 4},
		"none":       {retry.Config{MaxRetries: retry.NoRetries}, 1},
		"a part set": {retry.Config{MaxRetries: 1}, 2},
	} {
		f := newFake(t)
		test.retry.InitialDelay = 1 // in place of 1s: nobody shall wait for the test
		c := newClientOf(t, f, vectorstore.Config{URL: f.url(), CollectionName: collectionName, Retry: test.retry})
		f.fail("Count", unavailable, unavailable, unavailable, unavailable, unavailable)
		_, err := c.Count(t.Context(), nil)
		assert.Equal(t, codes.Unavailable, status.Code(err))
		assert.Equal(t, test.attempts, f.attempts("Count"), name)
	}
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := newClient(t, f)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	for name, method := range methods {
		_, err := method.call(t.Context(), c)
		assert.Equal(t, codes.Canceled, status.Code(err), name)
	}
	assert.Error(t, c.Health(t.Context()))
	assert.Empty(t, f.calls)
}

func TestCloseDuringCalls(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := filled(t, f)
	var calls sync.WaitGroup
	begun := make(chan struct{}, 64)
	for _, method := range methods {
		for range 4 {
			calls.Go(func() {
				for range 20 {
					_, _ = method.call(t.Context(), c)
					begun <- struct{}{}
				}
			})
		}
	}
	calls.Go(func() {
		for range 64 {
			<-begun
		}
		assert.NoError(t, c.Close())
		for range len(methods)*4*20 - 64 {
			<-begun
		}
	})
	calls.Wait()
}

// Nothing is left behind of calls that went wrong in all ways. It runs alone: it counts goroutines.
func TestNothingLeaks(t *testing.T) {
	f := newFake(t)
	c := filled(t, f)
	for range 20 {
		for _, method := range methods {
			f.fail(method.wire, unavailable, f.cut, answers(codes.ResourceExhausted, "limit", "retry-after", "0"), answers(codes.NotFound, "gone"))
			_, err := method.call(t.Context(), c)
			assert.Equal(t, codes.NotFound, status.Code(err))
		}
	}
	assert.LessOrEqual(t, f.connections(), 3)
	require.NoError(t, c.Close())
	f.server.Stop()
	assert.Zero(t, f.connections())
	for range 5000 { // they end by themselves, and soon
		if ours() == 0 {
			break
		}
		runtime.Gosched()
	}
	assert.Zero(t, ours())
}

// ours returns how many goroutines of clients of gRPC there are.
func ours() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "internal/transport.")
}
