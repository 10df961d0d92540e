package retry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

type RateLimitError struct{ Limit int }

func (e *RateLimitError) Error() string {
	return fmt.Sprintf("more than %d requests a second", e.Limit)
}

type AuthError struct{ User string }

func (e *AuthError) Error() string { return "who is " + e.User + "?" }

// Options name the errors that are retried and those that are not, by type here.
func ExampleWithRetryableType() {
	policy := retry.MustNew("search",
		retry.WithRetryableType[*RateLimitError](),
		retry.WithPermanentType[*AuthError](),
	)

	for _, err := range []error{
		fmt.Errorf("search: %w", &RateLimitError{Limit: 10}),
		fmt.Errorf("search: %w", &AuthError{User: "nobody"}),
		fmt.Errorf("search: %w", syscall.ECONNREFUSED), // known to be transient
		errors.New("search: something else"),           // nobody has an opinion: not retried
	} {
		fmt.Printf("%-10v %v\n", policy.Classify(err), err)
	}
	// Output:
	// retryable  search: more than 10 requests a second
	// permanent  search: who is nobody?
	// retryable  search: connection refused
	// unknown    search: something else
}

var errBusy = errors.New("busy")

// Errors that are values are named by WithRetryable and WithPermanent.
func ExampleWithRetryable() {
	policy := retry.MustNew("lock.acquire", retry.WithRetryable(errBusy), retry.WithInitialDelay(0))

	calls := 0
	err := policy.Do(context.Background(), func(ctx context.Context) error {
		if calls++; calls < 3 {
			return fmt.Errorf("shard 7: %w", errBusy)
		}
		return nil
	})
	fmt.Println(calls, err)
	// Output: 3 <nil>
}

// An operation that knows better marks its error. It comes back as it is.
func Example_permanent() {
	policy := retry.MustNew("document.parse", retry.WithInitialDelay(0))
	errSyntax := errors.New("line 3: unexpected }")

	calls := 0
	err := policy.Do(context.Background(), func(ctx context.Context) error {
		calls++
		return resilience.Permanent(errSyntax)
	})
	fmt.Println(calls, err, errors.Is(err, errSyntax))
	// Output: 1 line 3: unexpected } true
}

// StatusError says by its methods what it means for a retry. The package that declares
// it needs no import of this toolkit.
type StatusError struct{ Status int }

func (e *StatusError) Error() string     { return http.StatusText(e.Status) }
func (e *StatusError) Retryable() bool   { return e.Status == 429 || e.Status >= 500 }
func (e *StatusError) ErrorType() string { return fmt.Sprint(e.Status) } // in telemetry

// An error type may say itself what it means.
func Example_ownMethods() {
	policy := retry.MustNew("api.get")
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusNotFound} {
		err := &StatusError{status}
		fmt.Println(status, policy.Classify(err), resilience.ErrorType(err))
	}
	// Output:
	// 503 retryable 503
	// 404 permanent 404
}

// A classifier decides for errors that share a type but not a meaning.
func ExampleWithClassifier() {
	policy := retry.MustNew("db.query", retry.WithClassifier(func(err error) resilience.Class {
		var status *StatusError
		if errors.As(err, &status) && status.Status == http.StatusConflict {
			return resilience.ClassRetryable
		}
		return resilience.ClassUnknown // no opinion: the other rules decide
	}))

	fmt.Println(policy.Classify(&StatusError{http.StatusConflict}))
	fmt.Println(policy.Classify(&StatusError{http.StatusNotFound}))
	// Output:
	// retryable
	// permanent
}
