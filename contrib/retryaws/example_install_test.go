package retryaws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/observable-go/toolkit/contrib/retryaws"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
)

func ExampleRetryer_Install() {
	server := httptest.NewServer(&fakeSTS{script: []answer{internal}}) // a service that is down
	defer server.Close()
	cfg := config(server.URL) // in a program: config.LoadDefaultConfig(ctx)

	retries := budget.MustNew("backends", budget.WithBurst(5), budget.WithFloor(0))
	retryer := retryaws.MustNew("aws",
		retryaws.WithBudget(retries), // also that of the policies for other callees
		retryaws.WithConfig(retry.Config{InitialDelay: time.Millisecond}),
	)
	if err := retryer.Install(&cfg); err != nil {
		fmt.Println(err)
		return
	}
	client := sts.NewFromConfig(cfg)
	for range 3 {
		_, err := client.GetCallerIdentity(context.Background(), nil)
		var api smithy.APIError
		var gaveUp *retry.Error
		if errors.As(err, &api) && errors.As(err, &gaveUp) {
			fmt.Printf("%s after %d attempts: %v\n", api.ErrorCode(), gaveUp.Attempts, gaveUp.Reason)
		}
	}
	// Output:
	// InternalFailure after 4 attempts: no attempts left
	// InternalFailure after 3 attempts: the retry budget is exhausted
	// InternalFailure after 1 attempts: the retry budget is exhausted
}
