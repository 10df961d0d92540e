package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/e2e/internal/backend"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/breaker"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/inspect"
	"github.com/observable-go/toolkit/resilience/retry"
)

// hostVariable makes this program a service of a few policies with a debug page, in place of a
// test: a page shows everything of its process, and is to show nothing of the other tests. Its
// value is how many policies there are: "shop" or a number.
const hostVariable = "RESILIENCE_E2E_HOST"

// serveHost serves the debug page, and sends calls for whoever asks for them.
func serveHost(what string) error {
	policies := shopPolicies
	if n, err := strconv.Atoi(what); err == nil {
		policies = func() (map[string]resilience.Policy, error) { return manyPolicies(n) }
	}
	named, err := policies()
	if err != nil {
		return err
	}
	page, err := inspect.New(inspect.WithTitle("e2e " + what))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/resilience/", page)
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		c := &callee{url: r.FormValue("callee")}
		policy, call := r.FormValue("policy"), r.FormValue("call")
		err := named[policy].Do(r.Context(), func(ctx context.Context) error {
			return c.ask(ctx, policy, call, r.FormValue("plan"))
		})
		fmt.Fprint(w, err)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is for as long as the process lives
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "Serves http://%s\n", l.Addr())
	return http.Serve(l, mux)
}

// shopPolicies are two retries, of which one has a budget and a breaker.
func shopPolicies() (map[string]resilience.Policy, error) {
	quick := []retry.Option{retry.WithMaxRetries(maxRetries), retry.WithBackoff(every(shortDelay))}
	orders, err := retry.New("orders.get", quick...)
	if err != nil {
		return nil, err
	}
	retries, err := budget.New("stock", budget.WithBurst(10), budget.WithRatio(0), budget.WithFloor(leastFloor))
	if err != nil {
		return nil, err
	}
	stock, err := retry.New("stock.get", append(quick, retry.WithBudget(retries))...)
	if err != nil {
		return nil, err
	}
	guard, err := breaker.New("stock", breaker.WithConsecutiveFailures(25), breaker.WithOpenTime(never))
	if err != nil {
		return nil, err
	}
	return map[string]resilience.Policy{"orders.get": orders, "stock.get": resilience.Chain(stock, guard)}, nil
}

// manyPolicies are n retries, which is more than one name each for telemetry.
func manyPolicies(n int) (map[string]resilience.Policy, error) {
	all := map[string]resilience.Policy{}
	for i := range n {
		name := fmt.Sprintf("policy.%03d", i)
		p, err := retry.New(name, retry.WithMaxRetries(maxRetries), retry.WithBackoff(every(shortDelay)))
		if err != nil {
			return nil, err
		}
		all[name] = p
	}
	return all, nil
}

// A host is a process of its own with a debug page.
type host struct {
	*backend.Process

	url    string
	callee *callee
}

func startHost(t *testing.T, what string) *host {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	h := &host{callee: newCallee(t)}
	h.Process, err = backend.Start("host-"+what, "env", hostVariable+"="+what, self)
	require.NoError(t, err)
	t.Cleanup(h.Stop)
	h.url = awaitURL(t, h.Process, `Serves (http://\S+)`)
	return h
}

// awaitURL waits until a program has printed its address.
func awaitURL(t *testing.T, p *backend.Process, pattern string) (address string) {
	t.Helper()
	printed := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool {
		if found := printed.FindStringSubmatch(p.Log()); found != nil {
			address = found[1]
		}
		return address != ""
	}, time.Minute, pollInterval, "it has printed: %s", p.Log())
	return address
}

// page is the address of the debug page.
func (h *host) page() string { return h.url + "/debug/resilience/" }

// send lets the host send a call.
func (h *host) send(t *testing.T, policy, call, plan string) {
	t.Helper()
	form := url.Values{"callee": {h.callee.url}, "policy": {policy}, "call": {call}, "plan": {plan}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/send?"+form.Encode(), nil)
	require.NoError(t, err)
	fetch(t, req, nil)
}

// fetch decodes the JSON that a request gets into answer, if that is not nil.
func fetch(t *testing.T, req *http.Request, answer any) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	if answer != nil {
		require.NoError(t, json.Unmarshal(body, answer))
	}
}
