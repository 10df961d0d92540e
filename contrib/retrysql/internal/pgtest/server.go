package pgtest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// A Server is a PostgreSQL server of its own on the loopback interface.
type Server struct {
	bin, data string
	port      int
	as        func(*exec.Cmd)
	guard     *exec.Cmd
	orders    io.WriteCloser // to the guard
	log       *os.File
}

// Main runs the tests of a package with a server, and ends the process. Where PostgreSQL is not
// installed it runs none and says so; with CI=true in the environment it fails.
func Main(m *testing.M, server **Server) {
	os.Exit(run(m, server))
}

func run(m *testing.M, server **Server) (status int) {
	flag.Parse()
	if isSet("test.fuzzworker", "true") || isSet("test.run", "^$") || !isSet("test.list", "") {
		return m.Run() // no test runs; each worker would start a server, and what is fuzzed needs none
	}
	s, err := start()
	switch {
	case errors.Is(err, errNotInstalled) && os.Getenv("CI") != "true":
		fmt.Fprintln(os.Stderr, "SKIPPED: no test of this package ran:", err)
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "no test of this package ran:", err)
		return 1
	}
	defer s.close()
	*server = s
	return m.Run()
}

// isSet reports whether a flag of go test has a value.
func isSet(name, value string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() == value
}

// start starts a server in a folder of its own.
func start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "pg") // short: it holds a socket, whose path may have 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, data: data}
	if err := s.init(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

var errNotInstalled = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql): " +
	"initdb is neither in the PATH nor in /usr/lib/postgresql/*/bin")

// binaries returns the folder of the server's programs.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errNotInstalled
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (s *Server) init() (err error) {
	if s.as, err = asUser(s.data); err != nil {
		return err
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	//nolint:gosec // it is what this package is for
	initdb := exec.CommandContext(context.Background(), filepath.Join(s.bin, "initdb"), "--pgdata", filepath.Join(s.data, "db"),
		"--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	initdb.Dir = s.data
	s.as(initdb)
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s, which must be open to its user: %w: %s", s.data, err, output)
	}
	if s.log, err = os.Create(filepath.Join(s.data, "log")); err != nil {
		return err
	}
	return s.launch()
}

func freePort() (int, error) {
	var listens net.ListenConfig
	listener, err := listens.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// guard runs a server until it is told to end it or until nobody is left who could: then it
// removes the folder too, so that nothing stays behind if the tests are killed.
const guard = `folder=$1; shift; "$@" & read -r order; kill -QUIT $!; wait $!; [ "$order" = keep ] || rm -rf "$folder"`

// launch starts the server and waits until it takes connections.
func (s *Server) launch() (err error) {
	//nolint:gosec // it is what this package is for
	p := exec.CommandContext(context.Background(), "/bin/sh", "-c", guard, "guard", s.data,
		filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.data, "db"), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+s.data,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off", "-c", "max_connections=60",
		"-c", "shared_buffers=16MB", "-c", "deadlock_timeout=20ms", "-c", "log_min_messages=fatal")
	p.Dir, p.Stdout, p.Stderr = s.data, s.log, s.log
	s.as(p)
	if s.orders, err = p.StdinPipe(); err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	s.guard = p
	ready := retry.MustNew("pgtest.ready", retry.WithMaxRetries(500),
		retry.WithInitialDelay(20*time.Millisecond), retry.WithExponentialBase(1),
		retry.WithTelemetry(telemetry.Off()), retry.WithUnknown(resilience.ClassRetryable))
	err = ready.Do(context.Background(), func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		output, _ := os.ReadFile(s.log.Name())
		return fmt.Errorf("the server does not start: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// Addr returns the address of the server.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns how to connect to the server as its superuser.
func (s *Server) URL() string { return urlOf(s.Addr()) }

func urlOf(addr string) string { return "postgres://postgres@" + addr + "/postgres?sslmode=disable" }

// Stop ends the server at once, as a crash does.
func (s *Server) Stop() { s.stop("keep\n") }

func (s *Server) stop(order string) {
	if s.guard == nil {
		return
	}
	_, _ = io.WriteString(s.orders, order)
	_ = s.orders.Close()
	_ = s.guard.Wait()
	s.guard = nil
}

// Start starts a server that was stopped.
func (s *Server) Start() error { return s.launch() }

// close ends the server and removes what it has left.
func (s *Server) close() {
	s.stop("")
	if s.log != nil {
		_ = s.log.Close()
	}
	_ = os.RemoveAll(s.data)
}
