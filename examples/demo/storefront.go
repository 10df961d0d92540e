package main

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/observable-go/toolkit/resilience"
)

// An order is what a shopper sends to the storefront.
type order struct {
	ID string `json:"order"`
}

// orderID is what may stand for an order in the path of a request.
var orderID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// A storefront is the service that takes orders.
type storefront struct {
	*service

	inventory *inventoryClient
	payments  *paymentsClient
}

const ordersPattern = "POST /orders"

// takeOrder reserves the goods and takes the money. What was reserved for an order that fails
// then lapses by itself.
func (s *storefront) takeOrder(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&o); err != nil || !orderID.MatchString(o.ID) {
		http.Error(w, `want {"order":"..."} with 1 to 64 letters, digits and hyphens`, http.StatusBadRequest)
		return
	}
	// The context of the request is handed on to all that is done for it: it carries the trace,
	// what is known of the retries of layers above, and whether the shopper still waits.
	ctx := r.Context()
	switch comes := s.faults.meet(ctx); comes {
	case resultFailed:
		s.write(r, ordersPattern, o.ID, comes)
		http.Error(w, "the storefront is not available", http.StatusServiceUnavailable)
	case resultReset:
		s.write(r, ordersPattern, o.ID, comes)
		breakConnection(w)
	case resultCanceled:
		s.write(r, ordersPattern, o.ID, comes)
	case resultOK:
		receipt, callee, err := s.fulfil(ctx, o.ID)
		s.writeOrder(ctx, r, o.ID, callee, err)
		if err != nil {
			http.Error(w, callee+": "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(w, http.StatusCreated, map[string]string{"order": o.ID, "receipt": receipt})
	}
}

// fulfil asks both services. If one fails it says which.
func (s *storefront) fulfil(ctx context.Context, order string) (receipt, callee string, err error) {
	if err := s.inventory.reserve(ctx, order); err != nil {
		return "", nameInventory, err
	}
	if receipt, err = s.payments.charge(ctx, order); err != nil {
		return "", namePayments, err
	}
	return receipt, "", nil
}

// writeOrder writes down what came of an order.
func (s *storefront) writeOrder(ctx context.Context, r *http.Request, order, callee string, err error) {
	e := entry{
		Service: s.name, Path: ordersPattern, Result: resultOK, Order: order,
		Attempt: previousAttempts(r.Header), Callee: callee,
	}
	switch {
	case err != nil && ctx.Err() != nil:
		e.Result, e.ErrorType = resultCanceled, resilience.ErrorType(err)
	case err != nil:
		e.Result, e.ErrorType = resultFailed, resilience.ErrorType(err)
	}
	s.journal.add(ctx, e)
}
