package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"
)

// errNoRedis says what to do where there is no Redis.
var errNoRedis = errors.New("there is no redis-server here: install it (on Debian and Ubuntu: apt install redis-server), " +
	"or give the address of a Redis with -redis, such as -redis localhost:6379")

// openRedis returns the address of the Redis to use, and the child that keeps it if it is our own.
func openRedis(ctx context.Context, addr string, errs io.Writer) (string, *child, error) {
	if addr != "" {
		if err := ping(ctx, addr); err != nil {
			return "", nil, fmt.Errorf("-redis: no Redis answers at %s: %w", addr, err)
		}
		return addr, nil, nil
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return "", nil, errNoRedis
	}
	keeper, err := startChild("redis-server", roleRedis, errs)
	if err != nil {
		return "", nil, err
	}
	m, err := keeper.receive(ctx)
	if err != nil {
		keeper.end(0)
		return "", nil, err
	}
	return m.Address, keeper, nil
}

// ping reports whether a Redis answers.
func ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := newRedis(addr)
	defer func() { _ = client.Close() }()
	return client.Ping(ctx).Err()
}

// keepRedis starts a redis-server, writes its address and kills it when in ends. It is a process
// of its own so that no redis-server is left behind, in whatever way the parent ends.
func keepRedis(in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "replicas-redis-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 5 { // a port that was free may be taken by another when redis-server asks for it
		addr, err := freeAddress()
		if err != nil {
			return err
		}
		server, err := startRedis(addr, dir)
		if err != nil {
			return err
		}
		if server.answers(addr) {
			err := json.NewEncoder(out).Encode(message{Address: addr})
			_, _ = io.Copy(io.Discard, in)
			server.kill()
			return err
		}
		server.kill()
	}
	return errors.New("redis-server does not start")
}

// A redisServer is a redis-server that this process has started.
type redisServer struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// startRedis starts a redis-server that keeps nothing, in the process group of this one.
func startRedis(addr, dir string) (*redisServer, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	s := &redisServer{
		cmd: exec.CommandContext(context.Background(), "redis-server",
			"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir),
		ended: make(chan struct{}),
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

func (s *redisServer) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// answers waits until the server answers, and reports false if it ends or takes too long.
func (s *redisServer) answers(addr string) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < childPatience/6; {
		select {
		case <-s.ended:
			return false
		case <-ticker.C:
		}
		if ping(context.Background(), addr) == nil {
			return true
		}
	}
	return false
}

// freeAddress returns an address of loopback with a free port.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
