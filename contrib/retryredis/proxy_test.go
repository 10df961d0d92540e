package retryredis_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fault is what a proxy does to a request, counted from when it was armed.
type fault struct {
	on    string // what the request contains, in lower case
	times int
	// cutBefore closes the connection before the server sees the request, cutAfter once the
	// server has executed it; answer sends that many bytes of the answer before.
	cutBefore, cutAfter bool
	answer              int
	reply               string // to each command, in place of the server's
	stall               bool   // no answer ever comes
}

// A proxy stands between a client and a server, and does faults.
type proxy struct {
	server   string
	listener net.Listener

	mu     sync.Mutex
	faults []*fault
	conns  map[net.Conn]bool
	seen   map[string]int // faults done, by what they were on
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{server: server, listener: listener, conns: map[net.Conn]bool{}, seen: map[string]int{}}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		p.cutAll()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(t.Context(), conn) })
		}
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// handTo makes server the one that new connections lead to.
func (p *proxy) handTo(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

func (p *proxy) arm(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &f)
}

// done returns how often a fault was done.
func (p *proxy) done(on string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[on]
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// take returns the fault for a request, or nil.
func (p *proxy) take(request []byte) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.ToLower(string(request))
	for _, f := range p.faults {
		if f.times > 0 && strings.Contains(text, f.on) {
			f.times--
			p.seen[f.on]++
			return f
		}
	}
	return nil
}

// serve hands requests and answers through, one at a time: go-redis sends a command or a
// pipeline in one write, and waits for its answers.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	p.mu.Lock()
	addr := p.server
	p.mu.Unlock()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	stalled := false
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := make(chan fault, 1)
	wg.Go(func() { // what the server answers
		defer func() { _ = client.Close() }()
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			mu.Lock()
			drop := stalled
			mu.Unlock()
			select {
			case f := <-answers:
				_, _ = client.Write(buffer[:min(n, f.answer)])
				return
			default:
			}
			if !drop {
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
			}
		}
	})
	func() { // what the client asks
		defer func() { _ = server.Close() }()
		buffer := make([]byte, 1<<16)
		for {
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			switch f := p.take(buffer[:n]); {
			case f == nil:
			case f.cutBefore:
				_ = client.Close()
				return
			case f.reply != "":
				commands := strings.Count("\n"+string(buffer[:n]), "\n*")
				_, _ = client.Write([]byte(strings.Repeat(f.reply, commands)))
				continue
			case f.stall:
				mu.Lock()
				stalled = true
				mu.Unlock()
			case f.cutAfter:
				answers <- *f
			}
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}
