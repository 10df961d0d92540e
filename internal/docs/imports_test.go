package docs

// toolkit is the path of the main module.
const toolkit = "github.com/observable-go/toolkit"

// imports are the packages that a fragment may use without importing them, by name.
var imports = map[string]string{
	"atomic":   "sync/atomic",
	"bytes":    "bytes",
	"context":  "context",
	"driver":   "database/sql/driver",
	"errors":   "errors",
	"expvar":   "expvar",
	"filepath": "path/filepath",
	"flag":     "flag",
	"fmt":      "fmt",
	"http":     "net/http",
	"httptest": "net/http/httptest",
	"io":       "io",
	"iter":     "iter",
	"json":     "encoding/json",
	"log":      "log",
	"maps":     "maps",
	"math":     "math",
	"net":      "net",
	"os":       "os",
	"rand":     "math/rand/v2",
	"runtime":  "runtime",
	"signal":   "os/signal",
	"slices":   "slices",
	"slog":     "log/slog",
	"sort":     "sort",
	"sql":      "database/sql",
	"strconv":  "strconv",
	"strings":  "strings",
	"sync":     "sync",
	"synctest": "testing/synctest",
	"syscall":  "syscall",
	"testing":  "testing",
	"time":     "time",
	"url":      "net/url",

	"backoff":    toolkit + "/resilience/backoff",
	"budget":     toolkit + "/resilience/budget",
	"resilience": toolkit + "/resilience",
	"retry":      toolkit + "/resilience/retry",
	"telemetry":  toolkit + "/resilience/telemetry",

	"attribute": "go.opentelemetry.io/otel/attribute",
	"codes":     "go.opentelemetry.io/otel/codes",
	"logglobal": "go.opentelemetry.io/otel/log/global",
	"metric":    "go.opentelemetry.io/otel/metric",
	"otel":      "go.opentelemetry.io/otel",
	"trace":     "go.opentelemetry.io/otel/trace",

	"sdklog":    "go.opentelemetry.io/otel/sdk/log",
	"sdkmetric": "go.opentelemetry.io/otel/sdk/metric",
	"sdktrace":  "go.opentelemetry.io/otel/sdk/trace",

	"assert":  "github.com/stretchr/testify/assert",
	"require": "github.com/stretchr/testify/require",
	"yaml":    "gopkg.in/yaml.v3",
}
