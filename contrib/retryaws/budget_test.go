package retryaws_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestCancelDuringTheWaitGivesTheRetryBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &ledger{grant: true}
		r, err := retryaws.New("aws", retryaws.WithConfig(retry.Config{Jitter: backoff.NoJitter}), retryaws.WithBudget(b))
		require.NoError(t, err)
		client, server := fake(t, r, internal)
		cause := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(cause) })
		err = get(ctx, client)
		assert.Equal(t, 2, server.requests())
		require.ErrorIs(t, err, retry.ErrCanceled)
		assert.ErrorIs(t, err, cause)
		assert.ErrorAs(t, err, new(*aws.RequestCanceledError), "what users of the SDK look for")
		assert.ErrorAs(t, err, new(smithy.APIError), "the last failure, which the SDK loses")
		assert.Equal(t, ledger{grant: true, deposits: 1, withdrawals: 2, refunds: 1}, b.counts())

		err = get(ctx, client)
		require.ErrorIs(t, err, retry.ErrCanceled)
		assert.Equal(t, 2, server.requests(), "a dead context makes no attempt")
		assert.Equal(t, 1, b.counts().deposits)
	})
}

func TestBudgetDenies(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	client, server := serve(t, newRetryer(t, retryaws.WithBudget(b)), internal)
	err := get(t.Context(), client)
	require.ErrorIs(t, err, retry.ErrBudgetExhausted)
	assert.Equal(t, 1, server.requests())
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.ErrorAs(t, err, new(smithy.APIError))
	assert.Equal(t, ledger{deposits: 1, withdrawals: 1}, b.counts())

	client, server = serve(t, newRetryer(t, retryaws.WithBudget(nil)), internal)
	require.ErrorIs(t, get(t.Context(), client), retry.ErrBudgetExhausted)
	assert.Equal(t, 1, server.requests())
}

func TestOneBudgetCapsAPolicyAndAWSClients(t *testing.T) {
	t.Parallel()
	const calls, burst = 50, 20
	b, err := budget.New("service", budget.WithBurst(burst), budget.WithRatio(0.1), budget.WithFloor(0))
	require.NoError(t, err)
	policy := retry.MustNew("db", retry.WithBudget(b), retry.WithBackoff(backoff.Constant{}))
	client, server := serve(t, newRetryer(t, retryaws.WithBudget(b)), internal)
	attempts := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for range calls {
			_ = policy.Do(t.Context(), func(context.Context) error { attempts++; return io.ErrUnexpectedEOF })
		}
	})
	for range 5 {
		wg.Go(func() {
			for range calls / 5 {
				_ = get(t.Context(), client)
			}
		})
	}
	wg.Wait()
	retries := attempts + server.requests() - 2*calls
	assert.LessOrEqual(t, retries, burst+2*calls/10)
	assert.GreaterOrEqual(t, retries, burst, "the whole burst was used")
}

func TestRefusalOfTheTransportIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	cfg := config("http://sts.test")
	n := 0
	cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return internal.response(r), nil
		}
		return nil, resilience.Refused(errors.New("the breaker is open"))
	})
	require.NoError(t, newRetryer(t, retryaws.WithBudget(b)).Install(&cfg))
	err := get(t.Context(), sts.NewFromConfig(cfg))
	assert.Equal(t, 2, n)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, ledger{grant: true, deposits: 1, withdrawals: 1, refunds: 1}, b.counts(), "the retry was not sent")
}

func TestRetriesOfAnotherRetryerAreNotGivenBack(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	cfg := config("http://sts.test")
	n := 0
	cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return internal.response(r), nil
		}
		return nil, resilience.Refused(errors.New("the breaker is open"))
	})
	require.NoError(t, newRetryer(t, retryaws.WithBudget(b)).Install(&cfg))
	_, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil, func(o *sts.Options) {
		o.Retryer = awsretry.NewStandard(func(o *awsretry.StandardOptions) { o.MaxBackoff = time.Nanosecond })
	})
	require.Error(t, err)
	assert.Greater(t, n, 1)
	assert.Equal(t, ledger{grant: true, deposits: 1}, b.counts(), "no retry was taken from the budget")
}

// A ledger is a budget that counts what it is told.
type ledger struct {
	mu                             sync.Mutex
	grant                          bool
	deposits, withdrawals, refunds int
}

func (l *ledger) Deposit() { l.mu.Lock(); l.deposits++; l.mu.Unlock() }
func (l *ledger) Refund()  { l.mu.Lock(); l.refunds++; l.mu.Unlock() }
func (l *ledger) Withdraw() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.withdrawals++
	return l.grant
}

// counts returns what was counted.
func (l *ledger) counts() ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ledger{grant: l.grant, deposits: l.deposits, withdrawals: l.withdrawals, refunds: l.refunds}
}
