package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"time"

	"github.com/observable-go/toolkit/lab/gallery"
	"github.com/observable-go/toolkit/lab/web"
)

// serve serves the page until ctx ends.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "serve the page at this loopback address; port 0 is a free one")
	open := flags.Bool("open", true, "open the page in the browser")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	listener, err := listen(ctx, *addr)
	if err != nil {
		return err
	}
	var entries web.Gallery
	for _, e := range gallery.All() {
		entries = append(entries, web.Entry(e))
	}
	handler := web.New(entries)
	defer handler.Close()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	page := "http://" + listener.Addr().String() + "/"
	fmt.Fprintf(stdout, "The lab is at %s. Ctrl-C ends it.\n", page)
	if *open {
		browse(page)
	}
	select {
	case err = <-served:
		return err
	case <-ctx.Done():
	}
	_ = server.Close() // what somebody waits for takes as long as its run
	if err = <-served; errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// listen listens on a loopback address: the page runs what anybody sends who reaches it.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-addr: %q is not allowed: want a loopback host and a port", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("-addr: %q is not allowed: want a loopback host, such as 127.0.0.1:8080", addr)
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
}

// browse opens a page in the browser, if there is a way to.
func browse(page string) {
	program, args := "xdg-open", []string{page}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", page}
	}
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // of this file; the browser outlives the lab
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
