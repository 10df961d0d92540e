package backend

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// freeAddresses returns addresses on loopback that nobody listens on.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends at once
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at the end, so that no port is given twice
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// startTimeout is how long a program may take until it is ready, on a busy machine.
const startTimeout = time.Minute

// withAddresses starts a program on n free addresses, and once more if somebody else was faster
// to take one of them.
func withAddresses(n int, start func(ctx context.Context, addresses []string) (*Process, error)) (*Process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	const tries = 3
	for i := 1; ; i++ {
		addresses, err := freeAddresses(n)
		if err != nil {
			return nil, fmt.Errorf("free ports: %w", err)
		}
		p, err := start(ctx, addresses)
		if err == nil {
			return p, nil
		}
		taken := false
		if p != nil {
			p.Stop()
			taken = strings.Contains(strings.ToLower(p.Log()), "address already in use")
		}
		if !taken || i == tries {
			return nil, err
		}
	}
}
