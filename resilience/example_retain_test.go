package resilience_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// retainedBody ends its context when it is closed.
type retainedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b retainedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// A response body is read after the attempt that fetched it. Retain keeps its context
// alive, although the attempt has a timeout of its own.
func ExampleRetain() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a long story")
	}))
	defer server.Close()

	policy := retry.MustNew("story.get", retry.WithAttemptTimeout(5*time.Second))
	response, err := retry.DoValue(context.Background(), policy, func(ctx context.Context) (*http.Response, error) {
		ctx, cancel := resilience.Retain(ctx)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			cancel()
			return nil, resilience.Permanent(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			cancel()
			return nil, err
		}
		response.Body = retainedBody{response.Body, cancel}
		return response, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	fmt.Println(string(text), err)
	// Output: a long story <nil>
}
