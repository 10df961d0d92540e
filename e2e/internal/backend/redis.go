package backend

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// A Redis is a server that keeps nothing when it ends.
type Redis struct {
	*Process

	// Addr is where it answers.
	Addr string

	name, program, dir string
}

// StartRedis starts a Redis whose name is that of its log. It must be installed.
func StartRedis(name, dir string) (*Redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: install the package redis-server", err)
	}
	r := &Redis{name: name, program: program, dir: dir}
	r.Process, err = withAddresses(1, func(ctx context.Context, addresses []string) (*Process, error) {
		r.Addr = addresses[0]
		return r.start(ctx)
	})
	return r, err
}

// Again starts the server where it was before, empty.
func (r *Redis) Again() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	r.Process, err = r.start(ctx)
	return err
}

func (r *Redis) start(ctx context.Context) (*Process, error) {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return nil, err
	}
	p, err := Start(r.name, r.program, "--bind", host, "--port", port, "--save", "", "--dir", r.dir)
	if err != nil {
		return nil, err
	}
	return p, p.await(ctx, r.ping)
}

// ping asks whether the server answers.
func (r *Redis) ping(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "+PONG") {
		err = fmt.Errorf("%s answers %q", r.Addr, answer)
	}
	return err
}
