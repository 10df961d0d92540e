package retryaws_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestRetriesWhatTheSDKRetries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script   []answer
		requests int
		code     string // of the error, or "" for success
	}{
		"success":             {[]answer{ok}, 1, ""},
		"server error":        {[]answer{internal, internal, ok}, 3, ""},
		"throttling":          {[]answer{throttled, ok}, 2, ""},
		"too many requests":   {[]answer{{status: http.StatusTooManyRequests, code: "Busy"}, ok}, 2, ""},
		"cut connection":      {[]answer{{}, {}, ok}, 3, ""},
		"code of the service": {[]answer{{status: http.StatusBadRequest, code: "IDPCommunicationError"}, ok}, 2, ""},
		"invalid":             {[]answer{invalid}, 1, "ValidationError"},
		"then invalid":        {[]answer{internal, invalid}, 2, "ValidationError"},
		"exhausted":           {[]answer{internal}, 4, "InternalFailure"},
		"service exhausted":   {[]answer{{status: http.StatusBadRequest, code: "IDPCommunicationError"}}, 4, "IDPCommunicationError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := serve(t, newRetryer(t), test.script...)
			err := get(t.Context(), client)
			assert.Equal(t, test.requests, server.requests())
			for i, value := range server.values("Amz-Sdk-Request") {
				assert.Equal(t, fmt.Sprintf("attempt=%d; max=4", i+1), value)
			}
			for _, body := range server.bodies {
				assert.Equal(t, "Action=GetCallerIdentity&Version=2011-06-15", body, "a retry sends the same")
			}
			if test.code == "" {
				require.NoError(t, err)
				return
			}
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, test.code, api.ErrorCode())
			var gaveUp *retry.Error
			require.Equal(t, test.requests == 4, errors.As(err, &gaveUp))
			if gaveUp != nil {
				require.ErrorIs(t, err, retry.ErrExhausted)
				assert.ErrorAs(t, err, new(*awsretry.MaxAttemptsError), "the SDK's own is still found")
				assert.Equal(t, 4, gaveUp.Attempts)
				assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
				failure, asked := resilience.CalleeError(err)
				assert.True(t, asked)
				assert.Equal(t, resilience.ClassRetryable, resilience.Classify(failure), "a breaker sees the failure")
				return
			}
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err), "an answer is no failure to a breaker")
		})
	}
}

func TestMarksAndClassifierDecideBeforeTheSDK(t *testing.T) {
	t.Parallel()
	missing := answer{status: http.StatusNotFound, code: "NotYet"}
	byCode := func(code string, class resilience.Class) retryaws.Option {
		return retryaws.WithClassifier(func(err error) resilience.Class {
			var api smithy.APIError
			if errors.As(err, &api) && api.ErrorCode() == code {
				return class
			}
			return resilience.ClassUnknown
		})
	}
	client, server := serve(t, newRetryer(t, byCode("NotYet", resilience.ClassRetryable)), missing, internal, ok)
	require.NoError(t, get(t.Context(), client))
	assert.Equal(t, 3, server.requests())

	client, server = serve(t, newRetryer(t, byCode("InternalFailure", resilience.ClassPermanent)), internal)
	require.Error(t, get(t.Context(), client))
	assert.Equal(t, 1, server.requests())

	r := newRetryer(t, byCode("InternalFailure", resilience.ClassRetryable))
	assert.True(t, r.IsErrorRetryable(io.ErrUnexpectedEOF), "what is known to be transient")
	assert.False(t, r.IsErrorRetryable(resilience.Permanent(io.ErrUnexpectedEOF)))
	assert.False(t, r.IsErrorRetryable(resilience.Refused(&smithy.GenericAPIError{Code: "Throttling"})))
	assert.False(t, r.IsErrorRetryable(errors.New("who knows")))
}

func TestClockSkewIsCorrected(t *testing.T) {
	t.Parallel()
	skewed := answer{http.StatusForbidden, "SignatureDoesNotMatch", map[string]string{
		"Date": time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat),
	}}
	client, server := serve(t, newRetryer(t), skewed, ok)
	require.NoError(t, get(t.Context(), client))
	dates := server.values("X-Amz-Date")
	require.Len(t, dates, 2)
	first, err := time.Parse("20060102T150405Z", dates[0])
	require.NoError(t, err)
	second, err := time.Parse("20060102T150405Z", dates[1])
	require.NoError(t, err)
	assert.InDelta(t, -time.Hour.Seconds(), second.Sub(first).Seconds(), 60, "signed with the time of the service")

	client, server = serve(t, newRetryer(t), answer{status: http.StatusForbidden, code: "SignatureDoesNotMatch"})
	require.Error(t, get(t.Context(), client))
	assert.Equal(t, 1, server.requests(), "the clocks agree, so the signature is wrong")
}

func TestMaxAttemptsOfOneCall(t *testing.T) {
	t.Parallel()
	client, server := serve(t, newRetryer(t), internal)
	_, err := client.GetCallerIdentity(t.Context(), nil, func(o *sts.Options) { o.RetryMaxAttempts = 6 })
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 6, server.requests())
}

func TestPresigningIsNoCall(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	client, server := serve(t, newRetryer(t, retryaws.WithBudget(b)), internal)
	_, err := sts.NewPresignClient(client).PresignGetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	assert.Zero(t, server.requests())
	assert.Equal(t, ledger{grant: true}, b.counts())
}

func TestLaterRetryerTakesThePlaceOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	first, second := &ledger{grant: true}, &ledger{grant: true}
	f := &fakeSTS{script: []answer{internal, ok}}
	cfg := config("http://sts.test")
	cfg.HTTPClient, cfg.RetryMaxAttempts = f, 1
	require.NoError(t, newRetryer(t, retryaws.WithBudget(first)).Install(&cfg))
	own := cfg.Copy()
	require.NoError(t, newRetryer(t, retryaws.WithBudget(second)).Install(&own))
	require.NoError(t, get(t.Context(), sts.NewFromConfig(own)))
	assert.Equal(t, 2, f.requests())
	assert.Equal(t, ledger{grant: true, deposits: 1, withdrawals: 1}, second.counts())
	assert.Equal(t, ledger{grant: true}, first.counts())
	require.NoError(t, get(t.Context(), sts.NewFromConfig(cfg)))
	assert.Equal(t, 1, first.counts().deposits)
}

func TestRetryerWithoutItsMiddleware(t *testing.T) {
	t.Parallel()
	b := &ledger{grant: true}
	f := &fakeSTS{script: []answer{internal, internal, ok}}
	cfg := config("http://sts.test")
	r := newRetryer(t, retryaws.WithBudget(b))
	cfg.HTTPClient, cfg.Retryer = f, func() aws.Retryer { return r }
	client := sts.NewFromConfig(cfg)
	require.NoError(t, get(t.Context(), client))
	assert.Equal(t, 3, f.requests())
	require.NoError(t, get(t.Context(), client))
	assert.Equal(t, ledger{grant: true, deposits: 2, withdrawals: 2}, b.counts())

	b.grant, f.script = false, []answer{internal}
	err := get(t.Context(), client)
	require.ErrorIs(t, err, retry.ErrBudgetExhausted)
	assert.Equal(t, resilience.ClassRefused, resilience.Classify(err))
	assert.Equal(t, "budget_exhausted", resilience.ErrorType(err))
	require.Error(t, get(resilience.NoRetry(t.Context()), client))
	assert.Equal(t, 6, f.requests())
	f.script = []answer{{http.StatusServiceUnavailable, "Busy", map[string]string{"Retry-After": "61"}}}
	b.grant = true
	require.ErrorIs(t, get(t.Context(), client), retry.ErrPushback)
}

func TestUpdateWhileCallsRun(t *testing.T) {
	t.Parallel()
	r := newRetryer(t)
	client, server := serve(t, r, internal)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				_ = get(t.Context(), client)
			}
		})
	}
	c := noDelay
	for n := range 20 {
		c.MaxRetries = 1 + n%2
		require.NoError(t, r.Update(c))
	}
	wg.Wait()
	before := server.requests()
	c.MaxRetries = retry.NoRetries
	require.NoError(t, r.Update(c))
	require.Error(t, get(t.Context(), client))
	assert.Equal(t, before+1, server.requests())
	assert.Equal(t, 1, r.MaxAttempts())
	require.Error(t, r.Update(retry.Config{MaxDelay: -1}))
	assert.Equal(t, 1, r.MaxAttempts())
}

func TestNewSaysWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]retryaws.Option{
		"retryaws: max_retries: -1 is not allowed: want 0 to 1000000000": retryaws.WithConfig(retry.Config{MaxRetries: -1}),
		"retryaws: attempt_timeout: 1s is not allowed: want 0s: set a timeout at the HTTP client of the SDK": retryaws.WithConfig(
			retry.Config{AttemptTimeout: time.Second}),
		"retryaws: throttle_delay: -1s is not allowed: want at least 0s": retryaws.WithThrottleDelay(-time.Second),
		"retryaws: classifier: nil is not allowed: want a function":      retryaws.WithClassifier(nil),
	} {
		_, err := retryaws.New("aws", opt)
		assert.EqualError(t, err, want)
	}
	_, err := retryaws.New("")
	require.ErrorContains(t, err, "retryaws: ")
	_, err = retryaws.New("aws", nil, retryaws.WithTelemetry(telemetry.WithMeterProvider(nil)))
	require.ErrorContains(t, err, "retryaws: ")
	require.ErrorContains(t, newRetryer(t).Install(nil), "*aws.Config")
	assert.Panics(t, func() { retryaws.MustNew("") })
	assert.NotContains(t, strings.ToLower(fmt.Sprint(err)), "secret")
}
