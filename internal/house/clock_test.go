package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only one package reads the time, waits and draws numbers, so that all others run
// under a virtual clock too.
const clockPath = "internal/clock"

// timely names what reads the time or waits, by the package that has it.
var timely = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"context": {
		"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause",
	},
}

// checkClock returns where p reads the time, waits or draws numbers itself.
func checkClock(fset *token.FileSet, p pack) (violations []string) {
	r, ok := roomOf(p.path)
	if p.path == clockPath || ok && (r.floor == tests || r.floor == kit || r.floor == garden) {
		return nil
	}
	found := func(pos token.Pos, what string) {
		violations = append(violations, fmt.Sprintf("%s: %s is for %s alone: use that, or take the time as an argument",
			fset.Position(pos), what, clockPath))
	}
	for _, f := range p.files {
		names := map[string]string{} // of packages in this file -> path
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			name := path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = imported
			if slices.Contains(chance, imported) && (r.floor != annex || imported != secrets) && (!r.seeded || imported != "math/rand/v2") {
				found(spec.Pos(), imported)
			}
			if name == "." && timely[imported] != nil {
				found(spec.Pos(), "a dot import of "+imported)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && slices.Contains(timely[names[x.Name]], selector.Sel.Name) {
				found(selector.Pos(), names[x.Name]+"."+selector.Sel.Name)
			}
			return true
		})
	}
	return violations
}

func TestClock(t *testing.T) {
	t.Parallel()
	fset, all := packs(t)
	for _, p := range all {
		failOn(t, checkClock(fset, p))
	}
}

func TestCheckClock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, src string
		want      []string
	}{
		"durations": {"resilience/retry", `import "time"; var d = 2 * time.Second; var at = time.Unix(0, 0)`, nil},
		"the clock itself": {clockPath, `import ("time"; "math/rand/v2"); var now, x = time.Now, rand.Float64()`,
			nil},
		"now":         {"resilience", `import "time"; var now = time.Now()`, []string{"time.Now"}},
		"as a value":  {"resilience/retry", `import "time"; var now = time.Now`, []string{"time.Now"}},
		"renamed":     {"resilience/budget", `import t "time"; func f() { t.Sleep(1) }`, []string{"time.Sleep"}},
		"dot import":  {"resilience/budget", `import . "time"; func f() { Sleep(1) }`, []string{"a dot import of time"}},
		"timers":      {"resilience", `import "time"; func f() { time.NewTimer(1); time.AfterFunc(1, f); <-time.After(1) }`, []string{"time.NewTimer", "time.AfterFunc", "time.After"}},
		"tickers":     {"resilience", `import "time"; func f() { time.NewTicker(1); time.Tick(1) }`, []string{"time.NewTicker", "time.Tick"}},
		"differences": {"resilience", `import "time"; func f(t time.Time) { time.Since(t); time.Until(t) }`, []string{"time.Since", "time.Until"}},
		"contexts": {"resilience", `import "context"; func f(c context.Context) { context.WithTimeout(c, 1); context.WithCancel(c) }`,
			[]string{"context.WithTimeout"}},
		"deadlines": {"resilience", `import "context"; var f, g, h = context.WithDeadline, context.WithDeadlineCause, context.WithTimeoutCause`,
			[]string{"context.WithDeadline", "context.WithDeadlineCause", "context.WithTimeoutCause"}},
		"chance":                    {"resilience/telemetry", `import ("math/rand"; r2 "math/rand/v2"; _ "crypto/rand")`, []string{"math/rand", "math/rand/v2", "crypto/rand"}},
		"a package not yet known":   {"resilience/breaker", `import "time"; var now = time.Now()`, []string{"time.Now"}},
		"another package's Now":     {"resilience/retry", `import time "example.com/time"; var now = time.Now()`, nil},
		"a method called like that": {"resilience/retry", `type c struct{}; func (c) Now() {}; func f(time2 c) { time2.Now() }`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			violations := checkClock(parsed(t, tt.path, "package p; "+tt.src))
			require.Len(t, violations, len(tt.want))
			for i, want := range tt.want {
				require.Contains(t, violations[i], ": "+want+" is for internal/clock alone")
			}
		})
	}
}
