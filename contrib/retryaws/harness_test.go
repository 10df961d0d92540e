package retryaws_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience/retry"
)

// noDelay are rules under which tests of real sockets wait for next to nothing.
var noDelay = retry.Config{InitialDelay: time.Nanosecond, MaxDelay: time.Minute}

// An answer is what the fake STS answers.
type answer struct {
	status int
	code   string // of the error, or "" for none
	header map[string]string
}

var (
	ok        = answer{status: http.StatusOK}
	internal  = answer{status: http.StatusInternalServerError, code: "InternalFailure"}
	throttled = answer{status: http.StatusBadRequest, code: "ThrottlingException"}
	invalid   = answer{status: http.StatusBadRequest, code: "ValidationError"}
)

func (a answer) body() string {
	if a.code == "" {
		return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
			`<Account>42</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	}
	return fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error></ErrorResponse>`, a.code)
}

func (a answer) response(r *http.Request) *http.Response {
	h := http.Header{"Content-Type": {"text/xml"}}
	for name, value := range a.header {
		h.Set(name, value)
	}
	body := a.body()
	return &http.Response{
		StatusCode: a.status, Header: h, Request: r, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewBufferString(body)),
	}
}

// A fakeSTS answers requests by a script, the last answer for ever, and keeps what it saw.
type fakeSTS struct {
	mu      sync.Mutex
	script  []answer
	headers []http.Header
	bodies  []string
	times   []time.Time
	onSend  func(n int) // called with the number of the request, from 1
}

func (f *fakeSTS) next(r *http.Request) answer {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headers = append(f.headers, r.Header.Clone())
	f.bodies = append(f.bodies, string(body))
	f.times = append(f.times, time.Now())
	n := len(f.headers)
	if f.onSend != nil {
		f.onSend(n)
	}
	return f.script[min(n, len(f.script))-1]
}

func (f *fakeSTS) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.headers)
}

// values returns what the requests had in a header.
func (f *fakeSTS) values(name string) (values []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.headers {
		values = append(values, h.Get(name))
	}
	return values
}

// waits returns the times between the requests.
func (f *fakeSTS) waits() (waits []time.Duration) {
	for i := 1; i < len(f.times); i++ {
		waits = append(waits, f.times[i].Sub(f.times[i-1]))
	}
	return waits
}

// Do answers without a socket, for tests within a synctest bubble.
func (f *fakeSTS) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f.next(r).response(r), nil
}

// ServeHTTP answers on a socket.
func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := f.next(r)
	if a.status == 0 {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body())
}

func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
		}),
	}
}

// serve returns a client with the retryer and the fake STS that it sends to on a socket.
func serve(t *testing.T, r *retryaws.Retryer, script ...answer) (*sts.Client, *fakeSTS) {
	t.Helper()
	f := &fakeSTS{script: script}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := config(server.URL)
	require.NoError(t, r.Install(&cfg))
	return sts.NewFromConfig(cfg), f
}

// fake is serve without sockets.
func fake(t *testing.T, r *retryaws.Retryer, script ...answer) (*sts.Client, *fakeSTS) {
	t.Helper()
	f := &fakeSTS{script: script}
	cfg := config("http://sts.test")
	cfg.HTTPClient = f
	require.NoError(t, r.Install(&cfg))
	return sts.NewFromConfig(cfg), f
}

func newRetryer(t *testing.T, opts ...retryaws.Option) *retryaws.Retryer {
	t.Helper()
	all := append([]retryaws.Option{retryaws.WithConfig(noDelay), retryaws.WithThrottleDelay(0)}, opts...)
	r, err := retryaws.New("aws", all...)
	require.NoError(t, err)
	return r
}

func get(ctx context.Context, client *sts.Client) error {
	_, err := client.GetCallerIdentity(ctx, nil)
	return err
}
