package retry_test

import (
	"context"
	"log/slog"
	"os"
	"syscall"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A logger shows each retry and how the call ended.
func Example_log() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey || a.Key == slog.MessageKey {
				return a
			}
			return slog.Attr{}
		},
	}))
	policy := retry.MustNew("similarity_search", retry.WithInitialDelay(0),
		retry.WithTelemetry(telemetry.WithLogger(logger)))

	calls := 0
	_ = policy.Do(context.Background(), func(ctx context.Context) error {
		if calls++; calls < 3 {
			return syscall.ECONNREFUSED
		}
		return nil
	})
	// Output:
	// level=WARN msg="similarity_search: Attempt 1/4 failed: connection refused. Retrying in 0.00s"
	// level=WARN msg="similarity_search: Attempt 2/4 failed: connection refused. Retrying in 0.00s"
	// level=INFO msg="similarity_search: Succeeded on attempt 3"
}
