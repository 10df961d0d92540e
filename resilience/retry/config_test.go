package retry_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/resilience/backoff"
	"github.com/observable-go/toolkit/resilience/retry"
)

// configOf returns the Config in force of a policy with these options.
func configOf(t *testing.T, options ...retry.Option) retry.Config {
	t.Helper()
	p, err := retry.New("p", options...)
	require.NoError(t, err)
	return p.Config()
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := configOf(t)
	assert.Equal(t, 3, c.MaxRetries)
	assert.Equal(t, time.Second, c.InitialDelay)
	assert.Equal(t, time.Minute, c.MaxDelay)
	assert.InDelta(t, 2.0, c.ExponentialBase, 0)
	assert.Equal(t, backoff.FullJitter, c.Jitter)
	assert.Zero(t, c.AttemptTimeout)
	assert.Zero(t, c.MaxElapsed)
}

func TestPresets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config     retry.Config
		retries    int
		from, most time.Duration
	}{
		"fast call":      {retry.FastCall(), 3, 500 * time.Millisecond, 10 * time.Second},
		"database query": {retry.DatabaseQuery(), 3, time.Second, 30 * time.Second},
		"vector search":  {retry.VectorSearch(), 3, time.Second, 30 * time.Second},
		"LLM generation": {retry.LLMGeneration(), 2, 2 * time.Second, time.Minute},
		"batch job":      {retry.BatchJob(), 5, 5 * time.Second, 2 * time.Minute},
	} {
		c := configOf(t, retry.WithConfig(tt.config))
		assert.Equal(t, tt.retries, c.MaxRetries, name)
		assert.Equal(t, tt.from, c.InitialDelay, name)
		assert.Equal(t, tt.most, c.MaxDelay, name)
	}
}

func TestZeroIsDefaultUnlessSaid(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 3, configOf(t, retry.WithConfig(retry.Config{})).MaxRetries)
	assert.Equal(t, 0, configOf(t, retry.WithMaxRetries(0)).MaxRetries)
	assert.Equal(t, time.Duration(0), configOf(t, retry.WithInitialDelay(0)).InitialDelay)

	var c retry.Config
	require.NoError(t, json.Unmarshal([]byte(`{"max_retries": 0, "initial_delay": "0s"}`), &c))
	assert.Equal(t, 0, configOf(t, retry.WithConfig(c)).MaxRetries)
	assert.Equal(t, time.Duration(0), configOf(t, retry.WithConfig(c)).InitialDelay)
	c.MaxRetries = 7
	assert.Equal(t, 7, configOf(t, retry.WithConfig(c)).MaxRetries)

	require.ErrorContains(t, json.Unmarshal([]byte(`{"max_retries": -2147483648}`), &c), "is not allowed")

	p := retry.MustNew("p", retry.WithConfig(c))
	inForce := p.Config()
	inForce.MaxDelay = 0
	require.ErrorContains(t, p.Update(inForce), "max_delay: 0s is not allowed")
	again := p.Config()
	require.NoError(t, p.Update(again))
	assert.Equal(t, again, p.Config(), "what is in force may be put in force again")
}

const fullConfig = `{
	"max_retries": 5, "initial_delay": "1.5s", "max_delay": "2m", "exponential_base": 1.5, "jitter": "plus_minus_20",
	"attempt_timeout": "250ms", "max_elapsed": "1h", "max_pushback": "30s"
}`

func TestConfigFromText(t *testing.T) {
	want := retry.Config{
		MaxRetries: 5, InitialDelay: 1500 * time.Millisecond, MaxDelay: 2 * time.Minute, ExponentialBase: 1.5,
		Jitter: backoff.PlusMinus(20), AttemptTimeout: 250 * time.Millisecond, MaxElapsed: time.Hour, MaxPushback: 30 * time.Second,
	}
	same := func(t *testing.T, c retry.Config) {
		t.Helper()
		text, err := json.Marshal(want)
		require.NoError(t, err)
		got, err := json.Marshal(c)
		require.NoError(t, err)
		assert.JSONEq(t, string(text), string(got))
		assert.Equal(t, want.MaxPushback, c.MaxPushback)
		assert.Equal(t, want.Jitter, c.Jitter)
	}
	t.Run("JSON", func(t *testing.T) {
		var c retry.Config
		require.NoError(t, json.Unmarshal([]byte(fullConfig), &c))
		same(t, c)
		written, err := json.Marshal(c)
		require.NoError(t, err)
		var again retry.Config
		require.NoError(t, json.Unmarshal(written, &again))
		assert.Equal(t, c, again)
	})
	t.Run("YAML", func(t *testing.T) {
		var service struct {
			Retry retry.Config `yaml:"retry"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(`
retry:
  max_retries: 5
  initial_delay: 1.5s
  max_delay: 2m
  exponential_base: 1.5
  jitter: plus_minus_20
  attempt_timeout: 250ms
  max_elapsed: 1h
  max_pushback: 30s
`), &service))
		same(t, service.Retry)
		written, err := yaml.Marshal(service)
		require.NoError(t, err)
		again := service
		require.NoError(t, yaml.Unmarshal(written, &again))
		assert.Equal(t, service, again)
	})
	t.Run("environment", func(t *testing.T) {
		for name, value := range map[string]string{
			"MAX_RETRIES": "5", "INITIAL_DELAY": " 1.5s ", "MAX_DELAY": "2m", "EXPONENTIAL_BASE": "1.5", "JITTER": "plus_minus_20",
			"ATTEMPT_TIMEOUT": "250ms", "MAX_ELAPSED": "1h", "MAX_PUSHBACK": "30s",
		} {
			t.Setenv("APP_RETRY_"+name, value)
		}
		var c retry.Config
		require.NoError(t, c.UnmarshalEnv("APP_RETRY_"))
		same(t, c)
	})
	t.Run("over a preset", func(t *testing.T) {
		c := retry.LLMGeneration()
		require.NoError(t, json.Unmarshal([]byte(`{"max_delay": "10s", "jitter": false, "max_retries": null}`), &c))
		t.Setenv("X_MAX_RETRIES", "0")
		t.Setenv("X_INITIAL_DELAY", "")
		require.NoError(t, c.UnmarshalEnv("X_"))
		assert.Equal(t, 10*time.Second, c.MaxDelay)
		assert.Equal(t, 2*time.Second, c.InitialDelay)
		assert.Equal(t, backoff.NoJitter, c.Jitter)
		assert.Equal(t, 0, configOf(t, retry.WithConfig(c)).MaxRetries)
	})
}

// An invalid value gets one error that names the field, the value and what is allowed.
func TestInvalidConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		option             retry.Option
		field, value, want string
	}{
		"retries":      {retry.WithMaxRetries(-1), "max_retries", "-1", "0 to 1000000000"},
		"many retries": {retry.WithMaxRetries(math.MaxInt), "max_retries", fmt.Sprint(math.MaxInt), "0 to 1000000000"},
		"initial":      {retry.WithInitialDelay(-time.Second), "initial_delay", "-1s", "at least 0s"},
		"max":          {retry.WithMaxDelay(-time.Second), "max_delay", "-1s", "more than 0s"},
		"max of 0":     {retry.WithMaxDelay(0), "max_delay", "0s", "more than 0s"},
		"base":         {retry.WithExponentialBase(0.99), "exponential_base", "0.99", "at least 1"},
		"base of 0":    {retry.WithExponentialBase(0), "exponential_base", "0", "at least 1"},
		"NaN":          {retry.WithExponentialBase(math.NaN()), "exponential_base", "NaN", "finite"},
		"infinite":     {retry.WithExponentialBase(math.Inf(1)), "exponential_base", "+Inf", "finite"},
		"jitter":       {retry.WithJitter(99), "jitter", "Jitter(99)", "full, equal, none"},
		"timeout":      {retry.WithAttemptTimeout(-1), "attempt_timeout", "-1ns", "at least 0s"},
		"elapsed":      {retry.WithMaxElapsed(-1), "max_elapsed", "-1ns", "at least 0s"},
		"pushback":     {retry.WithMaxPushback(-1), "max_pushback", "-1ns", "at least 0s"},
		"config":       {retry.WithConfig(retry.Config{MaxRetries: -3}), "max_retries", "-3", "0 to 1000000000"},
		"retryable":    {retry.WithRetryable(errPlain, nil), "retryable", "<nil>", "an error"},
		"permanent":    {retry.WithPermanent(nil), "permanent", "<nil>", "an error"},
		"classifier":   {retry.WithClassifier(nil), "classifier", "nil", "a function"},
		"unknown":      {retry.WithUnknown(3), "unknown", "refused", "unknown, retryable or permanent"},
		"hook":         {retry.WithOnRetry(nil), "on_retry", "nil", "a function"},
		"no backoff":   {retry.WithBackoff(nil), "backoff", "<nil>", "a backoff.Backoff"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := retry.New("p", tt.option)
			var e *retry.ConfigError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tt.field, e.Field)
			assert.Equal(t, tt.value, fmt.Sprint(e.Value))
			assert.Contains(t, e.Want, tt.want)
			assert.Contains(t, err.Error(), fmt.Sprintf("%s: %s is not allowed: want ", tt.field, tt.value))
			assert.Contains(t, err.Error(), `policy "p"`)
			assert.Panics(t, func() { retry.MustNew("p", tt.option) })
		})
	}
	_, err := retry.New("p", retry.WithBackoff(backoff.Exponential{Base: math.NaN()}))
	require.ErrorContains(t, err, "Base: NaN is not allowed")
	for _, name := range []string{"", " \t"} {
		_, err = retry.New(name)
		require.ErrorContains(t, err, "name: ")
	}
	p := retry.MustNew("p", nil, retry.WithMaxRetries(1))
	require.Error(t, p.Update(retry.Config{MaxDelay: -1}))
	assert.Equal(t, 1, p.Config().MaxRetries, "an update that is not allowed changes nothing")
	require.Error(t, (*retry.Policy)(nil).Update(retry.Config{}))
}

func TestInvalidText(t *testing.T) {
	for text, want := range map[string]string{
		`{"max_retry": 3}`:            `"max_retry": this name is not allowed: want one of max_retries, initial_delay`,
		`{"max_retries": -1}`:         `max_retries: -1 is not allowed: want 0 to 1000000000`,
		`{"max_retries": 1.5}`:        `max_retries: 1.5 is not allowed: want a whole number`,
		`{"max_retries": 1e30}`:       `max_retries: 1e30 is not allowed`,
		`{"max_retries": 2e9}`:        `max_retries: 2e9 is not allowed`,
		`{"max_retries": true}`:       `max_retries: true is not allowed`,
		`{"max_retries": "many"}`:     `max_retries: "many" is not allowed`,
		`{"initial_delay": 1.5}`:      `initial_delay: 1.5 is not allowed: want a duration with its unit, as in "1.5s"`,
		`{"initial_delay": "1.5"}`:    `initial_delay: "1.5" is not allowed`,
		`{"initial_delay": "-1s"}`:    `initial_delay: -1s is not allowed: want at least 0s`,
		`{"max_delay": "0s"}`:         `max_delay: 0s is not allowed: want more than 0s`,
		`{"max_delay": "9999999h"}`:   `max_delay: "9999999h" is not allowed`,
		`{"exponential_base": "NaN"}`: `exponential_base: "NaN" is not allowed`,
		`{"exponential_base": 0}`:     `exponential_base: 0 is not allowed: want a finite number of at least 1`,
		`{"exponential_base": 0.5}`:   `exponential_base: 0.5 is not allowed`,
		`{"jitter": "some"}`:          `jitter: "some" is not allowed: want full, equal, none or plus_minus_1`,
		`{"jitter": 1}`:               `jitter: 1 is not allowed`,
		`{"jitter": "plus_minus_0"}`:  `jitter: "plus_minus_0" is not allowed`,
		`[]`:                          `retry: config: `,
		`{"max_elapsed": {}}`:         `max_elapsed: map[] is not allowed`,
	} {
		before := retry.FastCall()
		c := before
		require.ErrorContains(t, json.Unmarshal([]byte(text), &c), want, text)
		assert.Equal(t, before, c, "a text that is not allowed changes nothing")
	}
	var c retry.Config
	require.ErrorContains(t, yaml.Unmarshal([]byte("max_retry: 3"), &c), `"max_retry": this name is not allowed`)
	require.Error(t, yaml.Unmarshal([]byte("- 3"), &c))
	t.Setenv("E_JITTER", "wild")
	require.ErrorContains(t, c.UnmarshalEnv("E_"), `E_JITTER: "wild" is not allowed`)
	t.Setenv("E_JITTER", "True")
	t.Setenv("E_MAX_RETRIES", "-1")
	require.ErrorContains(t, c.UnmarshalEnv("E_"), `E_MAX_RETRIES: -1 is not allowed`)
	require.NoError(t, yaml.Unmarshal([]byte("max_retries: 5.0"), &c))
	require.NoError(t, json.Unmarshal([]byte(`{"max_retries": 5.0}`), &c))
	assert.Equal(t, 5, c.MaxRetries)
}

func FuzzConfigJSON(f *testing.F) {
	f.Add(fullConfig)
	f.Add(`{"max_retries": 0}`)
	f.Add(`{"max_retries": 1e9, "initial_delay": "9223372036854775807ns", "jitter": true, "exponential_base": 1e308}`)
	f.Add(`{"x": [`)
	f.Fuzz(func(t *testing.T, text string) {
		var c retry.Config
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		if _, err := retry.New("p", retry.WithConfig(c)); err != nil {
			t.Fatalf("%s: decoded but not allowed: %v", text, err)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again retry.Config
		if err := json.Unmarshal(written, &again); err != nil || again != c {
			t.Fatalf("%s became %s: %v", text, written, err)
		}
	})
}

func FuzzConfigYAML(f *testing.F) {
	f.Add(strings.ReplaceAll(fullConfig, "\t", " "))
	f.Add("max_retries: 0\njitter: no\n")
	f.Add("&a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		var c retry.Config
		if yaml.Unmarshal([]byte(text), &c) != nil {
			return
		}
		if _, err := retry.New("p", retry.WithConfig(c)); err != nil {
			t.Fatalf("%s: decoded but not allowed: %v", text, err)
		}
	})
}
