package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/observable-go/toolkit/resilience/breaker"
)

// A shop is everything that runs.
type shop struct {
	options  options
	journal  *journal
	controls *controls
	history  *history
	story    *story
	payments *paymentsServer
	closers  []func() // of the clients of the storefront
}

// newShop makes all services, which listen but do not serve yet. The context bounds the story.
func newShop(ctx context.Context, o options) (*shop, error) {
	first, err := listen(o.addr)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(o.addr)
	s := &shop{
		options: o, journal: newJournal(), history: &history{},
		controls: &controls{policies: make(map[string]*policies), events: &events{}, budget: true, breaker: true},
	}
	for i, name := range serviceNames {
		l := first
		if i > 0 {
			if l, err = listenNear(first, i, host, port != "0"); err != nil {
				return nil, s.fail(err)
			}
		}
		service, err := newService(ctx, name, i+1, l, s.journal, o)
		if err != nil {
			return nil, s.fail(errors.Join(err, l.Close()))
		}
		s.controls.services = append(s.controls.services, service)
	}
	if err := s.wire(ctx); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

// wire connects the services with each other.
func (s *shop) wire(ctx context.Context) error {
	front, stock, money := s.controls.services[0], s.controls.services[1], s.controls.services[2]
	s.controls.shoppers = newShoppers(front.url(), s.options)
	s.story = &story{controls: s.controls, steps: storySteps}

	if err := addInventory(stock); err != nil {
		return err
	}
	calls, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.payments = newPaymentsServer(money, calls)

	for _, callee := range []string{nameInventory, namePayments} {
		if s.controls.policies[callee], err = newPolicies(callee, front.signals, s.options.patience, s.breakerChanged); err != nil {
			return err
		}
	}
	inventory, err := newInventoryClient(stock.url(), s.controls.policies[nameInventory], front.signals)
	if err != nil {
		return err
	}
	payments, err := newPaymentsClient(calls.Addr().String(), s.controls.policies[namePayments], front.signals)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, inventory.close, payments.close)
	orders := &storefront{front, inventory, payments}
	if err := front.handle(ordersPattern, orders.takeOrder); err != nil {
		return err
	}
	front.mux.Handle("/api/", s.api(ctx))
	pages, err := page()
	if err != nil {
		return err
	}
	front.mux.Handle("/", pages)
	return nil
}

func (s *shop) breakerChanged(c breaker.Change) {
	if c.To == breaker.Disabled || c.From == breaker.Disabled {
		return // by hand, which is an event of its own
	}
	s.controls.events.add("breaker", fmt.Sprintf("the breaker of %s is %s", c.Name, strings.ReplaceAll(c.To.String(), "_", "-")))
}

// fail closes what was opened of a shop that cannot be made.
func (s *shop) fail(err error) error {
	s.stop()
	for _, service := range s.controls.services {
		_ = service.listener.Close()
	}
	return errors.Join(err, s.shutdown())
}
