package retry_test

import (
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/resilience/retry"
)

// Update replaces the Config while the service runs. Policies that were named after
// the policy follow.
func ExamplePolicy_Update() {
	policy := retry.MustNew("inventory")
	get := retry.Named(policy, "inventory.get")

	config := policy.Config() // what is in force
	config.MaxRetries = 1
	if err := policy.Update(config); err != nil {
		fmt.Println(err)
	}
	fmt.Println(get.Config().MaxRetries)

	// A Config that is not allowed changes nothing.
	config.MaxRetries = -1
	if notAllowed, ok := errors.AsType[*retry.ConfigError](policy.Update(config)); ok {
		fmt.Println(notAllowed.Field, notAllowed.Value, "instead of", notAllowed.Want)
	}
	fmt.Println(get.Config().MaxRetries)
	// Output:
	// 1
	// max_retries -1 instead of 0 to 1000000000
	// 1
}
