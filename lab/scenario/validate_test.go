package scenario_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
)

func TestWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, changed, want string }{
		{"name: outage", "nam: outage", "field nam not found"},
		{"name: outage", "title: x", "already defined"},
		{"duration: 60s", "duration: 1ms", "duration: 1ms is not allowed: want 1s to 24h0m0s"},
		{"duration: 60s", "duration: long", "cannot unmarshal"},
		{"warmup: 5s", "warmup: 60s", "warmup: 1m0s is not allowed"},
		{"seeds: 3", "seeds: 5000", "seeds: 5000 is not allowed: want 1 to 1000"},
		{"clients: 10", "clients: -1", "callers.clients: -1 is not allowed"},
		{"open: {rate: 280}", "open: {rate: 0}", "callers.open.rate: 0 is not allowed: want more than 0"},
		{"open: {rate: 280}", "open: {rate: .nan}", "callers.open.rate: NaN is not allowed"},
		{"open: {rate: 280}", "open: {rate: 1000000}", "no more than 50000000 calls"},
		{"open: {rate: 280}", "deadline: 1s", "callers: open and closed is not allowed: want one of them"},
		{"open: {rate: 280}", "closed: {workers: 20000}", "callers.closed.workers: 20000 is not allowed"},
		{"servers: 3", "servers: -3", "callee.servers: -3 is not allowed"},
		{"service: {mean: 10ms}", "service: {mean: 10ms, kind: magic}", "callee.service.kind: magic is not allowed: want constant"},
		{"capacity: 0", "capacity: 2", "faults[0].capacity: 2 is not allowed: want 0 to 1"},
		{"to: 30s", "to: 10s", "faults[0].to: 10s is not allowed: want later than from"},
		{"capacity: 0", "down: true, shard: 1", "faults[0].shard: 1 is not allowed: want 0 to 0"},
		{"name: with a budget", "name: three retries", `policies[1].name: "three retries" is not allowed`},
		{"max_retries: 3", "max_retries: -3", "max_retries: -3 is not allowed"},
		{"jitter: equal", "jitter: some", "jitter"},
		{"ratio: 0.1", "ratio: 2", "policies[1]: budget: \"budget\": ratio: 2 is not allowed"},
		{"open_time: 2s", "open_time: -2s", "policies[1]: breaker: \"breaker\": open_time: -2s is not allowed"},
		{"max_amplification: 1.5", "max_amplification: -1", "expect.max_amplification: -1 is not allowed"},
	} {
		require.Contains(t, outage, tt.old)
		_, err := scenario.Parse([]byte(strings.Replace(outage, tt.old, tt.changed, 1)))
		assert.ErrorContains(t, err, tt.want, tt.changed)
	}
	for text, want := range map[string]string{
		"": "it is empty", "---\n": "name", "[]": "cannot unmarshal", outage + "\n---\na: 1": "want one document",
		strings.Repeat("#", scenario.MaxFile+1): "are not allowed",
	} {
		_, err := scenario.Parse([]byte(text))
		assert.ErrorContains(t, err, want)
	}
}

// Whatever the text, Parse returns a scenario that is valid, or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(outage))
	f.Add([]byte(`{"name":"a","duration":"1s","callers":{"closed":{"calls":1}},"policies":[{"name":"p","hedge":{"delay":"1ms"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := scenario.Parse(text)
		if err == nil {
			require.NoError(t, s.Validate())
		} else {
			require.NotEmpty(t, err.Error())
		}
	})
}
