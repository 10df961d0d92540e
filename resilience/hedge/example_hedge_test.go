package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/hedge"
)

// The replica that is asked first hangs. Twenty milliseconds later another copy of the
// request is sent, and its answer is taken.
func Example() {
	h := hedge.MustNew("search.query", hedge.WithDelay(20*time.Millisecond))

	hits, err := hedge.DoValue(context.Background(), h, func(ctx context.Context) (string, error) {
		if resilience.AttemptFrom(ctx) == nil { // the first copy
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "12 hits", nil
	}, nil)
	fmt.Println(hits, err)
	// Output: 12 hits <nil>
}

// What a copy that lost brings in the end is closed.
func ExampleDoValue_discard() {
	h := hedge.MustNew("files.open", hedge.WithDelay(20*time.Millisecond))
	closed := make(chan string)

	file, err := hedge.DoValue(context.Background(), h, func(ctx context.Context) (string, error) {
		if resilience.AttemptFrom(ctx) == nil {
			<-ctx.Done() // and yet it succeeds
			return "the file of the first copy", nil
		}
		return "the file of the second copy", nil
	}, func(file string) { closed <- file })

	fmt.Println("opened:", file, err)
	fmt.Println("closed:", <-closed)
	// Output:
	// opened: the file of the second copy <nil>
	// closed: the file of the first copy
}

// A decorated function looks like the original and is hedged.
func ExampleWrap1() {
	h := hedge.MustNew("inventory.get")
	get := hedge.Wrap1(h, func(_ context.Context, id string) (string, error) {
		return "item " + id, nil
	}, nil)

	fmt.Println(get(context.Background(), "7"))
	// Output: item 7 <nil>
}

// An answer that no other copy would change ends the call, though it is an error.
func ExampleWithClassifier() {
	errNotFound := errors.New("not found")
	h := hedge.MustNew("inventory.get", hedge.WithClassifier(func(err error) resilience.Class {
		if errors.Is(err, errNotFound) {
			return resilience.ClassPermanent
		}
		return resilience.ClassUnknown
	}))

	_, err := hedge.DoValue(context.Background(), h, func(context.Context) (int, error) { return 0, errNotFound }, nil)
	fmt.Println(err)
	// Output: not found
}
