package retry_test

import (
	"encoding/json"
	"fmt"
	"os"

	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/resilience/retry"
)

// A Config is read from JSON. What the text leaves out keeps its value: here that of a
// preset.
func ExampleConfig_json() {
	config := retry.FastCall()
	err := json.Unmarshal([]byte(`{"max_retries": 5, "jitter": "equal"}`), &config)
	if err != nil {
		fmt.Println(err)
		return
	}

	policy := retry.MustNew("inventory.get", retry.WithConfig(config))
	c := policy.Config()
	fmt.Println(c.MaxRetries, c.InitialDelay, c.MaxDelay, c.ExponentialBase, c.Jitter)
	// Output: 5 500ms 10s 2 equal
}

// A Config may be a field of the configuration of a service.
func ExampleConfig_yaml() {
	var service struct {
		Listen string
		Retry  retry.Config
	}
	err := yaml.Unmarshal([]byte(`
listen: :8080
retry:
  max_retries: 0       # none, as it says so
  attempt_timeout: 1.5s
`), &service)
	if err != nil {
		fmt.Println(err)
		return
	}

	policy := retry.MustNew("inventory.get", retry.WithConfig(service.Retry))
	fmt.Println(policy.Config().MaxRetries, policy.Config().AttemptTimeout)
	// Output: 0 1.5s
}

// An error names the field, the value and what is allowed.
func ExampleConfig_invalid() {
	var config retry.Config
	fmt.Println(json.Unmarshal([]byte(`{"exponential_base": 0.5}`), &config))
	fmt.Println(json.Unmarshal([]byte(`{"initial_delay": 5}`), &config))
	// Output:
	// retry: config: exponential_base: 0.5 is not allowed: want a finite number of at least 1
	// retry: config: initial_delay: 5 is not allowed: want a duration with its unit, as in "1.5s" or "200ms"
}

// The environment comes last, so that one field can be changed without a file.
func ExampleConfig_UnmarshalEnv() {
	os.Setenv("INVENTORY_RETRY_MAX_DELAY", "4s")
	defer os.Unsetenv("INVENTORY_RETRY_MAX_DELAY")

	config := retry.FastCall()
	err := config.UnmarshalEnv("INVENTORY_RETRY_")
	fmt.Println(config.MaxRetries, config.InitialDelay, config.MaxDelay, err)
	// Output: 3 500ms 4s <nil>
}

// Presets are starting points. Options change what they leave open, and later options
// override earlier ones.
func ExampleFastCall() {
	for _, preset := range []struct {
		name   string
		config retry.Config
	}{
		{"fast call", retry.FastCall()},
		{"database query", retry.DatabaseQuery()},
		{"vector search", retry.VectorSearch()},
		{"LLM generation", retry.LLMGeneration()},
		{"batch job", retry.BatchJob()},
	} {
		c := preset.config
		fmt.Printf("%-15s %d %5v %5v\n", preset.name, c.MaxRetries, c.InitialDelay, c.MaxDelay)
	}

	policy := retry.MustNew("suggest", retry.WithConfig(retry.FastCall()), retry.WithMaxRetries(1))
	fmt.Println(policy.Config().MaxRetries, policy.Config().MaxDelay)
	// Output:
	// fast call       3 500ms   10s
	// database query  3    1s   30s
	// vector search   3    1s   30s
	// LLM generation  2    2s  1m0s
	// batch job       5    5s  2m0s
	// 1 10s
}
