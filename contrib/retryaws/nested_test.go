package retryaws_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestNestedRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	outer := retry.MustNew("outer", retry.WithBackoff(backoff.Constant{}))
	client, server := serve(t, newRetryer(t), internal)
	err := outer.Do(t.Context(), func(ctx context.Context) error { return get(ctx, client) })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, server.requests(), "not 16")

	// A retryer that makes no retries leaves them to the policy around it.
	client, server = serve(t, newRetryer(t, retryaws.WithConfig(retry.Config{MaxRetries: retry.NoRetries})), internal)
	err = outer.Do(t.Context(), func(ctx context.Context) error { return get(ctx, client) })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, server.requests())
	assert.Equal(t, []string{"attempt=1; max=1", "attempt=1; max=1", "attempt=1; max=1", "attempt=1; max=1"},
		server.values("Amz-Sdk-Request"))

	client, server = serve(t, newRetryer(t), invalid)
	require.Error(t, outer.Do(t.Context(), func(ctx context.Context) error { return get(ctx, client) }))
	assert.Equal(t, 1, server.requests())
}

func TestContextForbidsRetries(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	client, server := serve(t, newRetryer(t, retryaws.WithBudget(b)), internal)
	err := get(resilience.NoRetry(t.Context()), client)
	require.Error(t, err)
	assert.Equal(t, 1, server.requests())
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err), "whoever forbade it may retry")
	assert.Equal(t, ledger{grant: true, deposits: 1}, b.counts())
}

func TestAttemptTimeoutOfAnOuterPolicyIsItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRetryer(t)
		attempts := 0
		cfg := config("http://sts.test")
		cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
			if attempts++; attempts < 3 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return ok.response(r), nil
		})
		require.NoError(t, r.Install(&cfg))
		client := sts.NewFromConfig(cfg)
		outer := retry.MustNew("outer", retry.WithAttemptTimeout(time.Second), retry.WithBackoff(backoff.Constant{}))
		require.NoError(t, outer.Do(t.Context(), func(ctx context.Context) error { return get(ctx, client) }))
		assert.Equal(t, 3, attempts)
	})
}

func TestGaveUpIsNoted(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, newRetryer(t), internal, ok)
	ctx, gaveUp := resilience.WatchGaveUp(t.Context())
	require.NoError(t, get(ctx, client))
	assert.False(t, gaveUp())
	client, _ = serve(t, newRetryer(t), internal)
	require.Error(t, get(ctx, client))
	assert.True(t, gaveUp())
}

func TestAttemptIsInTheContext(t *testing.T) {
	t.Parallel()
	var seen []int
	cfg := config("http://sts.test")
	cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
		n := 1
		if a := resilience.AttemptFrom(r.Context()); a != nil {
			assert.Equal(t, "aws", a.Policy)
			assert.Equal(t, 4, a.Max)
			n = a.Number
		}
		seen = append(seen, n)
		return internal.response(r), nil
	})
	require.NoError(t, newRetryer(t).Install(&cfg))
	require.Error(t, get(t.Context(), sts.NewFromConfig(cfg)))
	assert.Equal(t, []int{1, 2, 3, 4}, seen)
}

func TestCallWithinACallIsOneOfItsOwn(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	r := newRetryer(t, retryaws.WithBudget(b))
	inner, innerServer := serve(t, r, internal, ok)
	outerServer := &fakeSTS{script: []answer{internal, internal, ok}}
	cfg := config("http://sts.test")
	cfg.HTTPClient = outerServer
	cfg.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, get(ctx, inner) // as AssumeRole does
	})
	require.NoError(t, r.Install(&cfg))
	require.NoError(t, get(t.Context(), sts.NewFromConfig(cfg)))
	assert.Equal(t, []string{"attempt=1; max=4", "attempt=2; max=4", "attempt=3; max=4"}, outerServer.values("Amz-Sdk-Request"))
	assert.Equal(t, []string{"attempt=1; max=4", "attempt=2; max=4"}, innerServer.values("Amz-Sdk-Request")[:2])
	assert.Equal(t, ledger{grant: true, deposits: 4, withdrawals: 3}, b.counts(), "one call, and one for each of its attempts")
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
