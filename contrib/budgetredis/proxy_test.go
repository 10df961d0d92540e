package budgetredis_test

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A weather is what a proxy does to each request.
type weather int

const (
	fair   weather = iota
	torn           // the connection is cut before the server sees the request
	parted         // nothing comes through until the weather changes: then all of it does
)

// A proxy stands between one replica and a server. It does what toxiproxy cannot: it knows a
// script when it sees one, and cuts the connection after that and before its answer.
type proxy struct {
	server   string
	listener net.Listener

	mu      sync.Mutex
	now     weather
	changed chan struct{} // closed when the weather changes
	left    int           // of how many scripts the answer is still to be lost, if above 0
	done    int           // how many faults were done
	conns   map[net.Conn]bool
	closed  bool
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{server: server, listener: listener, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		p.set(torn)
		p.cutAll()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.serve(conn) })
		}
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
	close(p.changed)
	p.changed = make(chan struct{})
}

// loseAnswers cuts the connection before the answers of the next n scripts.
func (p *proxy) loseAnswers(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = n
}

func (p *proxy) faults() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// pass waits while the network is parted, and returns whether to cut the connection before the
// server sees a request, or before its answer comes through.
func (p *proxy) pass(request []byte) (before, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.now == parted {
		changed := p.changed
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
	before = p.now == torn
	after = p.left > 0 && bytes.Contains(bytes.ToLower(request), []byte("\r\neval"))
	if after {
		p.left--
	}
	if before || after {
		p.done++
	}
	return before, after
}

// serve hands requests and answers through, one at a time: go-redis sends a command in one
// write, and waits for its answer.
func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server) //nolint:noctx // it is of the loopback and ends with the test
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	}()
	request, reply := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := client.Read(request)
		if err != nil {
			return
		}
		before, after := p.pass(request[:n])
		if before {
			return
		}
		if _, err := server.Write(request[:n]); err != nil {
			return
		}
		m, err := server.Read(reply)
		if err != nil || after {
			return
		}
		if _, err := client.Write(reply[:m]); err != nil {
			return
		}
	}
}
