package pgtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Marked stands in a statement without parameters that is to be disturbed as a COMMIT is.
const Marked = "/* disturb */"

// A Cut is what a [Proxy] does to the connection on which the next COMMIT passes.
type Cut int

// What may happen to a COMMIT.
const (
	// Pass: nothing.
	Pass Cut = iota
	// BeforeCommit: the connection breaks before COMMIT reaches the server.
	BeforeCommit
	// AfterCommit: the connection breaks after the server has answered COMMIT, and before
	// the client sees that.
	AfterCommit
	// HoldAnswer: the server has answered, and the client waits for that until it gives up.
	HoldAnswer
)

// A Proxy passes on the connections of clients to a server, and disturbs COMMITs.
type Proxy struct {
	listener net.Listener
	server   string

	// Answered is told of each COMMIT whose answer was kept from the client.
	Answered chan struct{}

	mu    sync.Mutex
	cut   Cut
	left  int // commits to disturb
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// NewProxy starts a proxy in front of s. It ends with the test.
func NewProxy(t *testing.T, s *Server) *Proxy {
	t.Helper()
	var listens net.ListenConfig
	listener, err := listens.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, server: s.Addr(), Answered: make(chan struct{}, 100), conns: map[net.Conn]bool{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Break()
		p.done.Wait()
	})
	return p
}

// URL returns how to connect through the proxy.
func (p *Proxy) URL() string { return urlOf(p.listener.Addr().String()) }

// Disturb does cut to the next n COMMITs.
func (p *Proxy) Disturb(cut Cut, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.left = cut, n
}

// Break breaks all connections.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// next returns what to do to a COMMIT.
func (p *Proxy) next() Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return Pass
	}
	p.left--
	return p.cut
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		var dialer net.Dialer
		server, err := dialer.DialContext(context.Background(), "tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		l := &link{proxy: p, client: client, server: server}
		p.done.Go(l.requests)
		p.done.Go(l.answers)
	}
}

// A link is a connection of a client and that to the server.
type link struct {
	proxy          *Proxy
	client, server net.Conn

	mu   sync.Mutex
	kept Cut // what happens to the next answer
}

// requests passes on the messages of the client, each of which is a type, a length that
// counts itself, and a body; the first has no type.
func (l *link) requests() {
	defer l.close()
	for first := true; ; first = false {
		message, err := readMessage(l.client, first)
		if err != nil {
			return
		}
		if isCommit(message) {
			switch cut := l.proxy.next(); cut {
			case BeforeCommit:
				return
			case Pass:
			case AfterCommit, HoldAnswer:
				l.mu.Lock()
				l.kept = cut
				l.mu.Unlock()
			}
		}
		if _, err := l.server.Write(message); err != nil {
			return
		}
	}
}

func (l *link) answers() {
	defer l.close()
	buffer := make([]byte, 1<<14)
	for {
		n, err := l.server.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		kept := l.kept
		l.mu.Unlock()
		if kept != Pass {
			l.proxy.Answered <- struct{}{}
		}
		switch kept {
		case Pass, BeforeCommit:
		case AfterCommit:
			return
		case HoldAnswer:
			_, _ = io.Copy(io.Discard, l.server)
			return
		}
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (l *link) close() {
	_, _ = l.client.Close(), l.server.Close()
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	delete(l.proxy.conns, l.client)
	delete(l.proxy.conns, l.server)
}

func readMessage(from io.Reader, first bool) ([]byte, error) {
	header := make([]byte, 5)
	if first {
		header = header[:4]
	}
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[len(header)-4:])
	message := slices.Concat(header, make([]byte, length-4))
	_, err := io.ReadFull(from, message[len(header):])
	return message, err
}

// isCommit reports whether a message is the simple query "commit", or one with [Marked].
func isCommit(message []byte) bool {
	if message[0] != 'Q' {
		return false
	}
	query := string(message[5:])
	return strings.EqualFold(query, "commit\x00") || strings.Contains(query, Marked)
}
