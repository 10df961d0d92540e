package inspect

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// An Inspector is the debug page of a process, or of a service in it. It is an
// [http.Handler] for any path that ends in a slash, and safe for use by several goroutines
// at once.
type Inspector struct {
	title    string
	instance string
	traceURL string
	watcher  *telemetry.Watcher
	began    time.Time
	stop     context.CancelFunc

	mu      sync.Mutex
	history history
}

// Handler returns the debug page of the process, always the same one, which watches from the
// first call on. It is what most services need:
//
//	mux.Handle("/debug/resilience/", inspect.Handler())
//
// Its sampler runs as long as the process. Tests that look for goroutines that were left
// behind use [New] and [Inspector.Close].
func Handler() http.Handler { return handler() }

var handler = sync.OnceValue(func() *Inspector { return newInspector(&settings{}) })

// New returns a debug page that watches from now on. It is to be closed.
func New(opts ...Option) (*Inspector, error) {
	var s settings
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
	}
	return newInspector(&s), nil
}

func newInspector(s *settings) *Inspector {
	ctx, stop := context.WithCancel(context.Background())
	i := &Inspector{
		title: s.title, instance: instance(), traceURL: s.traceURL,
		watcher: telemetry.Watch(s.provider), began: clock.Now(nil), stop: stop,
	}
	if i.title == "" {
		i.title = filepath.Base(os.Args[0])
	}
	i.history.begin(i.watcher.Read())
	clock.Go(nil, func() { i.sample(ctx) })
	return i
}

// instance tells replicas of a service apart.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

// Close ends the watching: the page shows counts, but no more history and troubled calls. It
// may be called several times.
func (i *Inspector) Close() error {
	i.stop()
	i.watcher.Close()
	return nil
}

// sample adds to the history at every interval until ctx ends.
func (i *Inspector) sample(ctx context.Context) {
	var timer clock.Timer
	for timer.Wait(ctx, nil, interval) == nil {
		live := i.watcher.Read()
		i.watcher.Tick()
		i.mu.Lock()
		i.history.add(live)
		i.mu.Unlock()
	}
}
