package main

import (
	"context"
	"io"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retryhttp"
)

// addInventory makes s the service that reserves goods.
func addInventory(s *service) error {
	return s.handle("PUT /reservations/{order}", func(w http.ResponseWriter, r *http.Request) {
		comes := s.faults.meet(r.Context())
		s.write(r, "PUT /reservations", r.PathValue("order"), comes)
		switch comes {
		case resultOK:
			w.WriteHeader(http.StatusNoContent)
		case resultFailed:
			http.Error(w, "the inventory is not available", http.StatusServiceUnavailable)
		case resultReset:
			breakConnection(w)
		case resultCanceled: // nobody waits for an answer
		}
	})
}

// An inventoryClient is how the storefront reserves goods.
type inventoryClient struct {
	url    string
	client *http.Client
}

// newInventoryClient returns a client whose requests run under the policies. Inside of them
// otelhttp makes a span for each attempt, and ResendCount numbers these.
func newInventoryClient(url string, p *policies, s *signals) (*inventoryClient, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 200 // as many as the bulkhead lets run: none is made anew for each request
	attempt := otelhttp.NewTransport(retryhttp.ResendCount(base), s.http()...)
	transport, err := retryhttp.New(p.stack, retryhttp.WithBase(attempt))
	if err != nil {
		return nil, err
	}
	return &inventoryClient{url, &http.Client{Transport: transport}}, nil
}

// reserve puts the goods of an order aside. To do so twice does no harm, as the order says which
// they are: that is what PUT means, and why it is repeated.
func (c *inventoryClient) reserve(ctx context.Context, order string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, c.url+"/reservations/"+order, http.NoBody)
	if err != nil {
		return resilience.Permanent(err)
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10)) // so that the connection is used again
	if answer.StatusCode >= http.StatusBadRequest {
		return &retryhttp.StatusError{StatusCode: answer.StatusCode, Header: answer.Header}
	}
	return nil
}

func (c *inventoryClient) close() { c.client.CloseIdleConnections() }
