package house

import (
	"fmt"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A room is a package of the main module with what it may import. Everybody may import
// the standard library but for what is ruled out.
type room struct {
	path  string
	floor int
	// never is what it must not import of the standard library.
	never []string
	// may is what it may import besides: packages of this module by their path in it,
	// others by their whole path.
	may []string
	// seeded rooms draw numbers by a seed, so that the same one tells the same story.
	seeded bool
}

const (
	// tests is the floor of packages that consist of tests only.
	tests = -1
	// kit is the floor of packages that only tests import. They may import anything.
	kit = -2
	// garden is the floor of programs: they read the time, as nobody runs them under another.
	garden = 4
	// annex is the floor of the modules below contrib: each knows the library of one client.
	annex = 3
)

// annexes may import each other in these cases only.
var annexes = map[string][]string{"contrib/vectorstore": {"contrib/retrygrpc"}}

// secrets draws what nobody may guess, which no simulator has to repeat.
const secrets = "crypto/rand"

var (
	network = []string{"net/http"}
	chance  = []string{"math/rand", "math/rand/v2", secrets}

	otelAPI = []string{
		"go.opentelemetry.io/otel",
		"go.opentelemetry.io/otel/attribute",
		"go.opentelemetry.io/otel/baggage",
		"go.opentelemetry.io/otel/codes",
		"go.opentelemetry.io/otel/log",
		"go.opentelemetry.io/otel/log/global",
		"go.opentelemetry.io/otel/metric",
		"go.opentelemetry.io/otel/metric/noop",
		"go.opentelemetry.io/otel/trace",
	}
	floor0 = []string{"internal/clock", "internal/ctxerr", "internal/window", "resilience", "resilience/backoff", "resilience/telemetry"}
)

// rooms is the table of the house. CONTRIBUTING.md shows it in words.
var rooms = []room{
	{path: "resilience", floor: 0, never: slices.Concat(network, chance)},
	{path: "resilience/backoff", floor: 0, never: slices.Concat(network, chance, []string{"errors", "context"})},
	{path: "resilience/secret", floor: 0, never: slices.Concat(network, chance)},
	{path: "internal/clock", floor: 0, never: network},
	{path: "internal/ctxerr", floor: 0, never: slices.Concat(network, chance)},
	{path: "internal/window", floor: 0, never: slices.Concat(network, chance, []string{"errors", "context"})},
	{path: "resilience/telemetry", floor: 0, never: slices.Concat(network, chance),
		may: append([]string{"internal/clock"}, otelAPI...)},

	{path: "resilience/retry", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/budget", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/adaptive", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/breaker", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/bulkhead", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/fallback", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/hedge", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/ratelimit", floor: 1, never: slices.Concat(network, chance), may: floor0},
	{path: "resilience/timeout", floor: 1, never: slices.Concat(network, chance), may: floor0},

	{path: "internal/retryafter", floor: 0, never: slices.Concat(chance, []string{"context"})},
	{path: "internal/layers", floor: 1, never: slices.Concat(network, chance), may: []string{"resilience", "resilience/telemetry"}},
	{path: "resilience/stack", floor: 2, never: slices.Concat(network, chance), may: append([]string{
		"resilience/adaptive", "resilience/breaker", "resilience/budget", "resilience/bulkhead",
		"resilience/ratelimit", "resilience/retry", "resilience/timeout",
	}, floor0...)},

	{path: "internal/configtext", floor: 2, never: slices.Concat(network, chance), may: []string{"resilience/retry", "resilience/secret"}},
	{path: "resilience/retryhttp", floor: 2, never: chance, may: []string{
		"internal/clock", "internal/layers", "internal/retryafter", "resilience", "resilience/telemetry",
	}},
	{path: "resilience/inspect", floor: 2, never: chance, may: []string{
		"go.opentelemetry.io/otel/metric", "internal/clock", "resilience", "resilience/telemetry",
	}},
	{path: "deploy/generate", floor: 2, never: slices.Concat(network, chance), may: []string{"resilience/telemetry", "gopkg.in/yaml.v3"}},

	{path: "lab", floor: garden, never: chance, may: []string{"lab/gallery", "lab/scenario", "lab/web"}},
	{path: "lab/gallery", floor: 2, never: slices.Concat(network, chance), may: []string{"lab/scenario"}},
	{path: "lab/model", floor: 1, never: network, seeded: true, may: append([]string{"lab/sim"}, floor0...)},
	{path: "lab/scenario", floor: 2, never: slices.Concat(network, chance), may: append([]string{
		"gopkg.in/yaml.v3", "lab/model", "lab/sim", "resilience/adaptive", "resilience/breaker", "resilience/budget", "resilience/hedge",
		"resilience/retry",
	}, floor0...)},
	{path: "lab/sim", floor: 1, never: network, seeded: true, may: []string{"internal/clock"}},
	{path: "lab/web", floor: garden, may: []string{"gopkg.in/yaml.v3", "lab/gallery", "lab/scenario"}},

	{path: "internal/signaltest", floor: kit},
	{path: "internal/house", floor: tests},
	{path: "internal/docs", floor: tests},
}

func roomOf(path string) (room, bool) {
	if module, ok := annexOf(path); ok {
		return room{path: path, floor: annex, may: append([]string{module}, annexes[module]...)}, true
	}
	i := slices.IndexFunc(rooms, func(r room) bool { return r.path == path })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// annexOf returns the module below contrib that a package belongs to.
func annexOf(path string) (module string, ok bool) {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 || parts[0] != "contrib" {
		return "", false
	}
	return parts[0] + "/" + parts[1], true
}

// checkImports returns what in p is not as the table has it.
func checkImports(fset *token.FileSet, p pack) (violations []string) {
	r, ok := roomOf(p.path)
	if !ok {
		return []string{fmt.Sprintf("package %s is not in the table of the house: decide on which floor it lives and "+
			"what it may import, add a row to rooms in internal/house/rooms_test.go and one to the table in CONTRIBUTING.md", p.path)}
	}
	for _, f := range p.files {
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if why := r.forbids(path); why != "" {
				violations = append(violations, fmt.Sprintf("%s: %s must not import %s: %s",
					fset.Position(spec.Pos()), p.path, path, why))
			}
		}
	}
	return violations
}

// forbids returns why the room must not import a package, or "".
func (r room) forbids(path string) string {
	inModule, ours := strings.CutPrefix(path, modulePath+"/")
	switch {
	case r.floor == annex:
		return r.annexForbids(path, inModule, ours)
	case r.floor == tests:
		return "it consists of tests only"
	case r.floor == kit:
		return ""
	case slices.Contains(r.never, path):
		return "the table rules it out"
	case isStandard(path), slices.Contains(r.may, path), ours && slices.Contains(r.may, inModule):
		return ""
	case ours:
		return fmt.Sprintf("a package of floor %d may import of this module: %s", r.floor, listOf(r.may))
	}
	return "beyond the standard library it may import: " + listOf(r.may)
}

// annexForbids returns why a package below contrib must not import another.
func (r room) annexForbids(path, inModule string, ours bool) string {
	module, isAnnex := annexOf(inModule)
	switch {
	case ours && isAnnex && !slices.Contains(r.may, module):
		return "modules below contrib know nothing of each other"
	case ours && inModule == "internal/signaltest":
		return "only tests import it"
	case strings.HasPrefix(path, "go.opentelemetry.io/"):
		return "resilience/telemetry is the only room that knows OpenTelemetry"
	case slices.Contains(chance, path) && path != secrets:
		return "internal/clock draws random numbers"
	}
	return ""
}

func listOf(paths []string) string {
	if len(paths) == 0 {
		return "nothing"
	}
	return strings.Join(paths, ", ")
}

// isStandard reports whether path is one of the standard library: its first element
// is no domain.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestImports(t *testing.T) {
	t.Parallel()
	fset, all := packs(t)
	for _, p := range all {
		failOn(t, checkImports(fset, p))
	}
	// A row without its package is a typing error, or a leftover.
	for _, r := range rooms {
		require.True(t, slices.ContainsFunc(all, func(p pack) bool { return p.path == r.path }),
			"rooms in internal/house/rooms_test.go has a row for %s, which does not exist", r.path)
	}
}

func TestCheckImports(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, imports string
		want          string // "" is allowed
	}{
		"standard library":        {"resilience", `"net"`, ""},
		"contract, http":          {"resilience", `"net/http"`, "resilience must not import net/http: the table rules it out"},
		"contract, sibling":       {"resilience", `"` + modulePath + `/resilience/retry"`, "may import of this module: nothing"},
		"contract, clock":         {"resilience", `"` + modulePath + `/internal/clock"`, "may import of this module: nothing"},
		"contract, OpenTelemetry": {"resilience", `"go.opentelemetry.io/otel/trace"`, "beyond the standard library it may import: nothing"},
		"backoff, math":           {"resilience/backoff", `"math"`, ""},
		"backoff, errors":         {"resilience/backoff", `"errors"`, "must not import errors"},
		"backoff, context":        {"resilience/backoff", `"context"`, "must not import context"},
		"backoff, rand":           {"resilience/backoff", `"math/rand/v2"`, "must not import math/rand/v2"},
		"backoff, contract":       {"resilience/backoff", `"` + modulePath + `/resilience"`, "may import of this module: nothing"},
		"clock, rand":             {"internal/clock", `"math/rand/v2"`, ""},
		"clock, contract":         {"internal/clock", `"` + modulePath + `/resilience"`, "may import of this module: nothing"},
		"telemetry, API":          {"resilience/telemetry", `"go.opentelemetry.io/otel/log/global"`, ""},
		"telemetry, clock":        {"resilience/telemetry", `"` + modulePath + `/internal/clock"`, ""},
		"telemetry, SDK":          {"resilience/telemetry", `"go.opentelemetry.io/otel/sdk/metric"`, "must not import go.opentelemetry.io/otel/sdk/metric"},
		"telemetry, policy":       {"resilience/telemetry", `"` + modulePath + `/resilience"`, "may import of this module: internal/clock"},
		"retry, floor 0":          {"resilience/retry", `"` + modulePath + `/resilience/backoff"`, ""},
		"retry, budget":           {"resilience/retry", `"` + modulePath + `/resilience/budget"`, "must not import " + modulePath + "/resilience/budget"},
		"retry, OpenTelemetry":    {"resilience/retry", `"go.opentelemetry.io/otel/metric"`, "must not import go.opentelemetry.io/otel/metric"},
		"budget, retry":           {"resilience/budget", `r "` + modulePath + `/resilience/retry"`, "must not import " + modulePath + "/resilience/retry"},
		"budget, testify":         {"resilience/budget", `_ "github.com/stretchr/testify/require"`, "must not import github.com/stretchr/testify/require"},
		"tests only":              {"internal/house", `"fmt"`, "it consists of tests only"},
		"kit":                     {"internal/signaltest", `"github.com/stretchr/testify/require"`, ""},
		"guard, another guard":    {"resilience/breaker", `"` + modulePath + `/resilience/bulkhead"`, "must not import " + modulePath + "/resilience/bulkhead"},
		"guard, kit":              {"resilience/breaker", `"` + modulePath + `/internal/signaltest"`, "must not import " + modulePath + "/internal/signaltest"},
		"stack, guards":           {"resilience/stack", `"` + modulePath + `/resilience/breaker"`, ""},
		"window, contexts":        {"internal/window", `"context"`, "must not import context"},
		"annex, its library":      {"contrib/retryredis", `"github.com/redis/go-redis/v9"`, ""},
		"annex, net/http":         {"contrib/generation", `"net/http"`, ""},
		"annex, contract":         {"contrib/retryredis", `"` + modulePath + `/resilience/retry"`, ""},
		"annex, its own":          {"contrib/retrysql/retrypgx", `"` + modulePath + `/contrib/retrysql"`, ""},
		"annex, another":          {"contrib/retrysql", `"` + modulePath + `/contrib/retrygrpc"`, "know nothing of each other"},
		"annex, one by exception": {"contrib/vectorstore", `"` + modulePath + `/contrib/retrygrpc"`, ""},
		"annex, OpenTelemetry":    {"contrib/retryredis", `"go.opentelemetry.io/otel/trace"`, "the only room that knows OpenTelemetry"},
		"annex, kit":              {"contrib/retryredis", `"` + modulePath + `/internal/signaltest"`, "only tests import it"},
		"annex, keys":             {"contrib/generation", `"crypto/rand"`, ""},
		"annex, rand":             {"contrib/retryredis", `"math/rand/v2"`, "internal/clock draws random numbers"},
		"http, net/http":          {"resilience/retryhttp", `"net/http"`, ""},
		"new package":             {"resilience/memo", `"fmt"`, "add a row to rooms in internal/house/rooms_test.go"},
		"new internal package":    {"internal/helper", `"fmt"`, "package internal/helper is not in the table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			violations := checkImports(parsed(t, tt.path, "package p\n\nimport "+tt.imports))
			if tt.want == "" {
				require.Empty(t, violations)
				return
			}
			require.Len(t, violations, 1)
			require.Contains(t, violations[0], tt.want)
		})
	}
}
