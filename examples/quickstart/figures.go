package main

import (
	"time"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// figures are the five figures by which to judge retries. Ratios of nothing are NaN.
type figures struct {
	// Calls that were begun.
	calls int64

	// Retry rate: the share of calls that were retried.
	retryRate float64

	// Success after retry: calls that a retry saved, as a share of all calls and as a
	// share of those that were retried.
	savedOfCalls   float64
	savedOfRetried float64

	// Exhausted retries: calls whose last attempt failed, and beside them calls that
	// were not retried (any more) because the budget denied it.
	exhausted       int64
	budgetExhausted int64

	// Average retry count: retries a call.
	retriesPerCall float64

	// Total retry latency: the time that calls spent on retries.
	retryLatency time.Duration
}

func figuresOf(c *counts) figures {
	calls := c.calls() - c.of(telemetry.OutcomeNotStarted)
	saved := c.of(telemetry.OutcomeSuccessAfterRetry)
	return figures{
		calls:           calls,
		retryRate:       float64(c.retriedCalls) / float64(calls),
		savedOfCalls:    float64(saved) / float64(calls),
		savedOfRetried:  float64(saved) / float64(c.retriedCalls),
		exhausted:       c.of(telemetry.OutcomeExhausted),
		budgetExhausted: c.of(telemetry.OutcomeBudgetExhausted),
		retriesPerCall:  float64(c.retries) / float64(calls),
		retryLatency:    time.Duration(c.retryLatency * float64(time.Second)),
	}
}
