package web_test

import "github.com/observable-go/toolkit/lab/web"

// outage is a small scenario with something to see.
const outage = `# Ten seconds without an answer
name: outage
title: A callee that is down for ten seconds, and retries that keep it down
source: "Bronson et al., Metastable Failures in Distributed Systems, HotOS 2021, https://doi.org/10.1145/3458336.3465286"
duration: 60s
warmup: 5s
seeds: 3
callers:
  clients: 10
  open: {rate: 280}
callee:
  servers: 3
  service: {mean: 10ms}
faults:
  - {from: 20s, to: 30s, capacity: 0} # all servers hang
policies:
  - name: three retries
    retry: {max_retries: 3, initial_delay: 100ms, attempt_timeout: 1s}
  - name: with a budget
    retry: {max_retries: 3, initial_delay: 100ms, attempt_timeout: 1s, jitter: equal}
    budget: {ratio: 0.1, shared: true}
    breaker: {open_time: 2s}
expect: {max_amplification: 1.5, max_recovery: 20s}
`

// herd has no fault, and clients that wait for each other.
const herd = `name: herd
title: Clients that all come at once, with and without jitter
duration: 20s
seeds: 2
callers:
  clients: 30
  closed: {calls: 20}
callee: {servers: 4, service: {mean: 5ms}, throttle: 100}
policies:
  - name: no jitter
    retry: {max_retries: 20, initial_delay: 50ms, jitter: none}
  - name: full jitter
    retry: {max_retries: 20, initial_delay: 50ms, jitter: full}
  - name: decorrelated
    delays: decorrelated
    retry: {max_retries: 20, initial_delay: 50ms, max_delay: 5s}
  - name: no retry
expect: {min_success: 0.5}
`

func gallery() web.Gallery {
	return web.Gallery{
		{Name: "outage", Title: "A callee that is down for ten seconds, and retries that keep it down", Source: "HotOS 2021", Text: outage},
		{Name: "herd", Title: "Clients that all come at once, with and without jitter", Text: herd},
	}
}
