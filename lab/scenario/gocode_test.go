package scenario_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
)

// everything sets every field of policies.
const everything = `
name: everything
duration: 10s
callers: {open: {rate: 10}}
policies:
  - name: defaults
    retry: {}
    budget: {}
    breaker: {}
    hedge: {}
  - name: other values
    retry: {max_retries: 7, initial_delay: 1500ms, max_delay: 1h, exponential_base: 1.5, jitter: plus_minus_20, attempt_timeout: 2s, max_elapsed: 1m, max_pushback: 3s}
    budget: {ratio: 0.25, floor: 2.5, burst: 7, shared: true}
    breaker: {failure_ratio: 0.25, min_calls: 7, window: 20s, open_time: 1s}
    hedge: {delay: 20ms, copies: 3}
    throttle: {}
    adaptive_rate: {}
  - name: decorrelated
    retry: {initial_delay: 5ms, max_delay: 2s}
    delays: decorrelated
  - name: constant
    retry: {initial_delay: 5ms, jitter: none}
    delays: constant
  - name: none
`

// The code of a policy compiles, and says what differs from the defaults.
func TestGoCode(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse([]byte(everything))
	require.NoError(t, err)
	assert.Equal(t, "retries := budget.MustNew(\"callee\")\npolicy := retry.MustNew(\"callee.call\",\n\tretry.WithBudget(retries))\n"+
		"guard := breaker.MustNew(\"callee\")\nchain := resilience.Chain(policy, guard)\n"+
		"copies := hedge.MustNew(\"callee\") // around the operation: hedge.Wrap\n", s.Policies[0].GoCode())
	for _, want := range []string{
		"WithMaxRetries(7)", "WithInitialDelay(1500*time.Millisecond)", "WithMaxDelay(time.Hour)", "WithExponentialBase(1.5)", "WithJitter(backoff.PlusMinus(20))",
		"WithAttemptTimeout(2*time.Second)", "WithMaxElapsed(time.Minute)", "WithMaxPushback(3*time.Second)", "budget.WithRatio(0.25)", "budget.WithFloor(2.5)",
		"budget.WithBurst(7)", "breaker.WithFailureRatio(0.25)", "breaker.WithMinCalls(7)", "breaker.WithTimeWindow(20*time.Second)", "breaker.WithOpenTime(time.Second)",
		"hedge.WithDelay(20*time.Millisecond)", "hedge.WithMaxCopies(3)", "Chain(policy, limit, throttle, guard)",
	} {
		assert.Contains(t, s.Policies[1].GoCode(), want)
	}

	var program strings.Builder
	program.WriteString("package main\n\nimport (\n\t\"time\"\n\n")
	for _, path := range []string{"", "/adaptive", "/backoff", "/breaker", "/budget", "/hedge", "/retry"} {
		fmt.Fprintf(&program, "\t\"github.com/observable-go/toolkit/resilience%s\"\n", path)
	}
	program.WriteString(")\n\nvar _ = []any{time.Second, resilience.Chain, adaptive.NewThrottle, backoff.FullJitter, breaker.New, budget.New, hedge.New, retry.New}\n\nfunc main() {}\n")
	for i := range s.Policies {
		code := s.Policies[i].GoCode()
		fmt.Fprintf(&program, "\nfunc policy%d() {\n%s\t_ = []any{", i, code)
		for _, name := range []string{"retries", "policy", "limit", "throttle", "guard", "chain", "copies"} {
			if strings.Contains(code, name+" := ") {
				program.WriteString(name + ", ")
			}
		}
		program.WriteString("}\n}\n")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program.String()), 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, file)
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s\n%s", text, program.String())
}
