package retryhttp_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// realServers returns a server for h by each version of HTTP.
func realServers(t *testing.T, h http.Handler) map[string]*httptest.Server {
	t.Helper()
	servers := map[string]*httptest.Server{"HTTP/1.1": httptest.NewUnstartedServer(h), "HTTP/2.0": httptest.NewUnstartedServer(h)}
	for proto, server := range servers {
		server.Config.ErrorLog = discardLog
		if server.EnableHTTP2 = proto == "HTTP/2.0"; server.EnableHTTP2 {
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
	}
	return servers
}

// getBy returns the answer that client gets.
func getBy(t *testing.T, client *http.Client, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	answer, err := client.Do(request)
	require.NoError(t, err)
	return answer
}

// A lockedBuffer is what several goroutines log to.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *lockedBuffer) logger() *log.Logger { return log.New(b, "", 0) }
