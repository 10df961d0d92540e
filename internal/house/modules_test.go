package house

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// required are the modules that a user of the toolkit takes in with it: the API of
// OpenTelemetry, and what that requires. None of them exports anything or starts a
// goroutine.
var required = []string{
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/log",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/trace",

	"github.com/cespare/xxhash/v2",
	"github.com/go-logr/logr",
	"github.com/go-logr/stdr",
	"go.opentelemetry.io/auto/sdk", // types for auto-instrumentation; not the SDK
}

// checkModules returns which of the packages, the module's own and all that they
// import, come from other modules than those that are required.
func checkModules(packages []listed) (violations []string) {
	for _, p := range packages {
		if p.Standard || p.Module != nil && (p.Module.Path == modulePath || slices.Contains(required, p.Module.Path)) {
			continue
		}
		module := "no module"
		if p.Module != nil {
			module = p.Module.Path
		}
		violations = append(violations, fmt.Sprintf("package %s of %s is compiled into every program that uses the toolkit: "+
			"only tests and nested modules may need more than the API of OpenTelemetry", p.ImportPath, module))
	}
	return violations
}

func TestModules(t *testing.T) {
	t.Parallel()
	failOn(t, checkModules(list(t, true)))
}

func TestCheckModules(t *testing.T) {
	t.Parallel()
	module := func(path string) *struct{ Path string } { return &struct{ Path string }{path} }
	allowed := []listed{
		{ImportPath: "net/http", Standard: true},
		{ImportPath: modulePath + "/resilience", Module: module(modulePath)},
		{ImportPath: "go.opentelemetry.io/otel/attribute", Module: module("go.opentelemetry.io/otel")},
		{ImportPath: "github.com/go-logr/logr", Module: module("github.com/go-logr/logr")},
	}
	require.Empty(t, checkModules(allowed))
	for _, p := range []listed{
		{ImportPath: "go.opentelemetry.io/otel/sdk/metric", Module: module("go.opentelemetry.io/otel/sdk/metric")},
		{ImportPath: "github.com/stretchr/testify/require", Module: module("github.com/stretchr/testify")},
		{ImportPath: "example.com/unknown"},
	} {
		violations := checkModules(append(allowed, p))
		require.Len(t, violations, 1)
		require.Contains(t, violations[0], "package "+p.ImportPath+" of ")
	}
}
