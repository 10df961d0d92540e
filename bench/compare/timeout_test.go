package compare

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A slowBody takes its time for the one byte that it holds, unless its request ends.
type slowBody struct {
	ctx  context.Context
	wait time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(b.wait):
		p[0] = 'x'
		return 1, io.EOF
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
}

func (b *slowBody) Close() error { return nil }

// TestAttemptTimeout reads a body that takes twice the timeout of the attempt.
func TestAttemptTimeout(t *testing.T) {
	const limit = time.Second
	var callee transport = func(request *http.Request) (*http.Response, error) {
		got := response(http.StatusOK, "")
		got.Body = &slowBody{request.Context(), 2 * limit}
		return got, nil
	}
	retrying := newHTTPClient(callee)
	retrying.HTTPClient.Timeout = limit
	kept := newPolicy(retry.WithAttemptTimeout(limit))
	for _, c := range []struct {
		name string
		read string
		do   func(request *http.Request) (*http.Response, error)
	}{
		{failsafeGo, "x", failsafehttp.NewRoundTripper(callee, timeout.New[*http.Response](limit)).RoundTrip}, //nolint:bodyclose // closed below
		{goRetryableHTTP, "", retrying.StandardClient().Do},
		{toolkit, "x", func(request *http.Request) (*http.Response, error) {
			return retry.DoValue(request.Context(), kept, func(ctx context.Context) (*http.Response, error) {
				ctx, _ = resilience.Retain(ctx) // ends with the test
				return callee(request.WithContext(ctx))
			})
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://callee", nil)
			require.NoError(t, err)
			got, err := c.do(request)
			require.NoError(t, err)
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			assert.Equal(t, c.read, string(body), c.name)
			assert.Equal(t, c.read == "", err != nil, c.name)
			t.Logf("%s: read %q of %q: %v", c.name, body, "x", err)
		})
	}
}

func TestAttemptContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempt context.Context
		executor := failsafe.With(timeout.New[any](time.Second))
		assert.NoError(t, executor.RunWithExecution(func(e failsafe.Execution[any]) error {
			attempt = e.Context()
			return attempt.Err()
		}))
		assert.Error(t, attempt.Err(), failsafeGo)
		t.Logf("%s: the context of the attempt, when the function has returned: %v", failsafeGo, attempt.Err())

		policy := newPolicy(retry.WithAttemptTimeout(time.Second))
		assert.NoError(t, policy.Do(t.Context(), func(ctx context.Context) error {
			attempt = ctx
			return attempt.Err()
		}))
		assert.Error(t, attempt.Err(), toolkit)
		t.Logf("%s: the context of the attempt, when the function has returned: %v", toolkit, attempt.Err())
	})
}
