package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxRate is how many orders a second the shoppers place at most.
const maxRate = 1000

// options are the flags.
type options struct {
	addr     string
	rate     float64
	seed     uint64
	lasts    time.Duration // 0: until Ctrl-C
	log      string
	traceURL string
	patience time.Duration // with an attempt

	otlp           string // the base of the next two
	otlpTraces     string
	otlpMetrics    string
	exportInterval time.Duration
}

// parse returns the options of a command line. An error names the flag and what is allowed.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` of the page and the storefront; port 0 is a free one")
	flags.Float64Var(&o.rate, "rate", 50, "orders a second, from 0 to 1000")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything that happens by chance")
	flags.DurationVar(&o.patience, "attempt-timeout", 400*time.Millisecond, "`time` that the storefront waits for an answer")
	flags.DurationVar(&o.lasts, "for", 0, "end by itself after this `time`; 0 is never")
	flags.StringVar(&o.log, "log", "", "`file` to write a line of JSON to for every request that a service got")
	flags.StringVar(&o.otlp, "otlp", "", "`URL` to send traces and metrics to, such as http://localhost:4318")
	flags.StringVar(&o.otlpTraces, "otlp-traces", "", "whole `URL` for traces, in place of URL/v1/traces")
	flags.StringVar(&o.otlpMetrics, "otlp-metrics", "", "whole `URL` for metrics, in place of URL/v1/metrics")
	flags.DurationVar(&o.exportInterval, "export-interval", 5*time.Second, "`time` between two exports of metrics")
	flags.StringVar(&o.traceURL, "trace-url", "", "`template` of links to traces, such as http://localhost:16686/trace/{trace_id}")
	flags.Usage = func() {} // an error stands alone, where it is seen
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(out, "Usage: demo [flags]")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w: see -help", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not allowed: want flags only, see -help", flags.Arg(0))
	}
	return o.complete()
}

// complete checks the options, and fills in what follows from others.
func (o options) complete() (options, error) {
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return o, notAllowed("addr", o.addr, "a host and a port, such as 127.0.0.1:8080")
	}
	if !(o.rate >= 0 && o.rate <= maxRate) { // which NaN is not
		return o, notAllowed("rate", fmt.Sprint(o.rate), fmt.Sprintf("0 to %d orders a second", maxRate))
	}
	if o.lasts < 0 {
		return o, notAllowed("for", o.lasts.String(), "at least 0s; 0s is without an end")
	}
	if o.patience < 10*time.Millisecond || o.patience > time.Minute {
		return o, notAllowed("attempt-timeout", o.patience.String(), "10ms to 1m")
	}
	if o.exportInterval < 100*time.Millisecond {
		return o, notAllowed("export-interval", o.exportInterval.String(), "at least 100ms")
	}
	if o.traceURL != "" && (!isURL(o.traceURL) || !strings.Contains(o.traceURL, "{trace_id}")) {
		return o, notAllowed("trace-url", o.traceURL, "a URL with {trace_id} in it, such as http://localhost:16686/trace/{trace_id}")
	}
	for name, value := range map[string]string{"otlp": o.otlp, "otlp-traces": o.otlpTraces, "otlp-metrics": o.otlpMetrics} {
		if value != "" && !isURL(value) {
			return o, notAllowed(name, value, "a URL such as http://localhost:4318")
		}
	}
	if base := strings.TrimSuffix(o.otlp, "/"); base != "" {
		if o.otlpTraces == "" {
			o.otlpTraces = base + "/v1/traces"
		}
		if o.otlpMetrics == "" {
			o.otlpMetrics = base + "/v1/metrics"
		}
	}
	return o, nil
}

func notAllowed(flag, value, want string) error {
	return fmt.Errorf("-%s: %q is not allowed: want %s", flag, value, want)
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// listen opens the address of the page.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	host, _, _ := net.SplitHostPort(addr)
	if isTaken(err) {
		return nil, fmt.Errorf("-addr: %s is taken by another program: choose another port, such as -addr %s, or -addr %s for a free one",
			addr, net.JoinHostPort(host, "8090"), net.JoinHostPort(host, "0"))
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		err = failed.Err // without the address again
	}
	return nil, fmt.Errorf("-addr: %s is not possible: %w", addr, err)
}

// listenNear opens a port that is the given number above that of near, or a free one if that
// is taken.
func listenNear(near net.Listener, above int, host string, wanted bool) (net.Listener, error) {
	tcp, ok := near.Addr().(*net.TCPAddr)
	if wanted && ok && tcp.Port+above <= 65535 {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(tcp.Port+above))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

func isTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
