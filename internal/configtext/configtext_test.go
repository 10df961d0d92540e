package configtext_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/internal/configtext"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

type config struct {
	URL   string
	Key   secret.Secret
	Debug bool
	Idle  time.Duration
	Retry retry.Config
}

var form = configtext.Form[config]{
	Package: "shop",
	Fields: []configtext.Field[config]{
		configtext.String(func(c *config) *string { return &c.URL }, "url", "shop_url"),
		configtext.Secret(func(c *config) *secret.Secret { return &c.Key }, "key"),
		configtext.Bool(func(c *config) *bool { return &c.Debug }, "debug"),
		configtext.Duration(func(c *config) *time.Duration { return &c.Idle }, -1, "idle"),
	},
	Retry: func(c *config) *retry.Config { return &c.Retry },
	Check: func(c *config) error {
		if c.URL == "bad" {
			return configtext.NotAllowed("url", `"bad"`, "a good one")
		}
		return nil
	},
}

func (c *config) UnmarshalJSON(data []byte) error { return form.ReadJSON(c, data) }

const whole = `{"url": "u", "key": "k", "debug": true, "idle": "3s", "retry": {"max_retries": 0}}`

func TestRead(t *testing.T) {
	t.Parallel()
	want := func(t *testing.T, c config) {
		t.Helper()
		assert.Equal(t, []any{"u", "k", true, 3 * time.Second}, []any{c.URL, c.Key.Reveal(), c.Debug, c.Idle})
		written, err := json.Marshal(c.Retry)
		require.NoError(t, err)
		assert.JSONEq(t, `{"max_retries": 0}`, string(written))
	}
	var fromJSON config
	require.NoError(t, json.Unmarshal([]byte(whole), &fromJSON))
	want(t, fromJSON)

	var fromYAML config
	require.NoError(t, form.ReadYAML(&fromYAML, func(target any) error {
		*target.(*map[string]any) = map[string]any{
			"shop_url": "u", "key": "k", "debug": true, "idle": "3s", "retry_config": map[any]any{"max_retries": 0},
		}
		return nil
	}))
	want(t, fromYAML)

	require.NoError(t, form.ReadJSON(&fromJSON, []byte(`{"idle": "0s", "url": null}`)))
	assert.Equal(t, time.Duration(-1), fromJSON.Idle)
	assert.Equal(t, "u", fromJSON.URL, "what is not there stays")
}

func TestReadEnvironment(t *testing.T) {
	t.Setenv("SHOP_URL", "u")
	t.Setenv("SHOP_KEY", "k")
	t.Setenv("SHOP_DEBUG", "true")
	t.Setenv("SHOP_IDLE", "3s")
	t.Setenv("SHOP_RETRY_MAX_RETRIES", "5")
	var c config
	require.NoError(t, form.ReadEnv(&c, "SHOP_"))
	assert.Equal(t, []any{"u", "k", true, 3 * time.Second, 5}, []any{c.URL, c.Key.Reveal(), c.Debug, c.Idle, c.Retry.MaxRetries})

	t.Setenv("SHOP_DEBUG", "perhaps")
	before := c
	require.EqualError(t, form.ReadEnv(&c, "SHOP_"), `shop: config: SHOP_DEBUG: "perhaps" is not allowed: want true or false`)
	assert.Equal(t, before, c)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                               "shop: config: json: cannot unmarshal array",
		`{"urll": "x"}`:                    `"urll": this name is not allowed: want one of url, shop_url, key, debug, idle, retry, retry_config`,
		`{"url": 1}`:                       "url: 1 is not allowed: want a text",
		`{"url": "bad"}`:                   `url: "bad" is not allowed: want a good one`,
		`{"url": "a", "shop_url": "b"}`:    "shop_url: a second value is not allowed: want either url or shop_url",
		`{"key": 4711}`:                    "key: *** is not allowed: want a text",
		`{"key": "***"}`:                   "want the secret itself",
		`{"debug": "x"}`:                   `debug: "x" is not allowed: want true or false`,
		`{"idle": 3}`:                      "idle: 3 is not allowed: want a duration",
		`{"idle": "-1s"}`:                  `idle: "-1s" is not allowed: want at least 0s`,
		`{"retry": 3}`:                     "retry: this value is not allowed: want the fields of a retry.Config",
		`{"retry": {"max_retries": -1}}`:   "shop: config: retry.max_retries: -1 is not allowed",
		`{"retry_config": {"retries": 1}}`: `retry_config."retries": this name is not allowed`,
	} {
		c := config{URL: "before"}
		require.ErrorContains(t, form.ReadJSON(&c, []byte(text)), want, text)
		assert.Equal(t, config{URL: "before"}, c, text)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	assert.Empty(t, form.Texts(&config{}))
	c := config{URL: "u", Key: secret.New("k"), Debug: true, Idle: -1, Retry: retry.Config{MaxRetries: 2}}
	written, err := json.Marshal(form.Texts(&c))
	require.NoError(t, err)
	assert.JSONEq(t, `{"url": "u", "key": "***", "debug": true, "idle": "0s", "retry": {"max_retries": 2}}`, string(written))
}

func TestMerge(t *testing.T) {
	t.Parallel()
	merged, err := configtext.Merge(retry.LLMGeneration(), retry.Config{MaxRetries: retry.NoRetries, MaxDelay: time.Second})
	require.NoError(t, err)
	written, err := json.Marshal(merged)
	require.NoError(t, err)
	assert.JSONEq(t, `{"max_retries": 0, "initial_delay": "2s", "max_delay": "1s"}`, string(written))
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"retry": {"": []}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c config
		if form.ReadJSON(&c, data) != nil {
			return
		}
		if c.Key.Reveal() != "" {
			c.Key = secret.Secret{} // which is not read again
		}
		written, err := json.Marshal(form.Texts(&c))
		if err != nil {
			t.Fatal(err)
		}
		var again config
		if err := form.ReadJSON(&again, written); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
	})
}
