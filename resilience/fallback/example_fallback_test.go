package fallback_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/fallback"
)

// The last rate that was seen stands in for one that cannot be had.
func Example() {
	rates := fallback.MustNew("rates")
	last := 1.08

	rate, err := fallback.DoValue(context.Background(), rates,
		func(context.Context) (float64, error) {
			return 0, errors.New("the exchange does not answer")
		},
		func(_ context.Context, err error) (float64, error) {
			fmt.Println("fell back:", err)
			return last, nil
		})
	fmt.Println(rate, err)
	// Output:
	// fell back: the exchange does not answer
	// 1.08 <nil>
}

// A constant needs no function.
func ExampleValue() {
	recommendations := fallback.MustNew("recommendations")
	get := fallback.Wrap(recommendations,
		func(context.Context) ([]string, error) { return nil, errors.New("down") },
		fallback.Value([]string{"bestsellers"}))

	fmt.Println(get(context.Background()))
	// Output: [bestsellers] <nil>
}

// An answer is not replaced, though it is an error.
func ExampleWithClassifier() {
	errNotFound := errors.New("not found")
	items := fallback.MustNew("items", fallback.WithClassifier(func(err error) resilience.Class {
		if errors.Is(err, errNotFound) {
			return resilience.ClassPermanent
		}
		return resilience.ClassUnknown
	}))

	_, err := fallback.DoValue(context.Background(), items,
		func(context.Context) (string, error) { return "", errNotFound },
		fallback.Value("a cached item"))
	fmt.Println(err)
	// Output: not found
}
