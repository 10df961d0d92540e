package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/e2e/internal/backend"
)

// What is checked here, from the folder of this module.
const (
	root   = ".."
	rules  = root + "/deploy/prometheus/rules.yaml"
	alerts = root + "/deploy/prometheus/alerts.yaml"
)

// All tests share one Prometheus, one Jaeger and one browser: each has service names of its own.
var (
	prometheus *backend.Prometheus
	jaeger     *backend.Jaeger
	browser    *backend.Browser
)

func TestMain(m *testing.M) {
	if what := os.Getenv(hostVariable); what != "" {
		fmt.Fprintln(os.Stderr, serveHost(what))
		os.Exit(1)
	}
	if !backend.Wanted() {
		os.Exit(m.Run())
	}
	redis.SetLogger(quiet{}) // it has a line for each connection that cannot be made
	code, err := withBackends(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func withBackends(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if prometheus, err = backend.StartPrometheus(dir, rules, alerts); err != nil {
		return 0, err
	}
	defer prometheus.Stop()
	if jaeger, err = backend.StartJaeger(dir); err != nil {
		return 0, err
	}
	defer jaeger.Stop()
	if browser, err = backend.StartBrowser(); err != nil {
		return 0, err
	}
	defer browser.Stop()
	return m.Run(), nil
}

// needBackends skips the test if the programs that it needs were not asked for.
func needBackends(t *testing.T) {
	t.Helper()
	if !backend.Wanted() {
		t.Skipf("%s is not set: run `.ci/run e2e`, which builds Prometheus and Jaeger and runs these tests", backend.BinVariable)
	}
}
