package generation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/budget"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

const all = `{
	"name": "story", "base_url": "http://localhost:8000/v1", "api_key": "` + key + `", "model_name": "gpt2",
	"embedding_model": "bge", "idle_timeout": "90s", "idempotency_keys": true, "ignore_refusals": true,
	"retry": {"max_retries": 0, "max_delay": "10s"}
}`

func TestConfigFormats(t *testing.T) {
	for name, decode := range map[string]func(*generation.Config) error{
		"JSON": func(c *generation.Config) error { return json.Unmarshal([]byte(all), c) },
		"YAML": func(c *generation.Config) error { return yaml.Unmarshal([]byte(all), c) },
		"environment": func(c *generation.Config) error {
			for name, value := range map[string]string{
				"NAME": "story", "BASE_URL": "http://localhost:8000/v1", "API_KEY": key, "MODEL_NAME": "gpt2", "EMBEDDING_MODEL": "bge",
				"IDLE_TIMEOUT": "90s", "IDEMPOTENCY_KEYS": "true", "IGNORE_REFUSALS": "1", "RETRY_MAX_RETRIES": "0", "RETRY_MAX_DELAY": "10s",
			} {
				t.Setenv("LLM_"+name, value)
			}
			return c.UnmarshalEnv("LLM_")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c generation.Config
			require.NoError(t, decode(&c))
			assert.Equal(t, "story", c.Name)
			assert.Equal(t, "http://localhost:8000/v1", c.BaseURL)
			assert.Equal(t, "gpt2", c.Model)
			assert.Equal(t, "bge", c.EmbeddingModel)
			assert.Equal(t, 90*time.Second, c.IdleTimeout)
			assert.True(t, c.IdempotencyKeys)
			assert.True(t, c.IgnoreRefusals)

			client, err := generation.New(c)
			require.NoError(t, err)
			policy, ok := client.Policy().(*retry.Policy)
			require.True(t, ok)
			assert.Equal(t, "story", policy.Name())
			assert.Equal(t, 0, policy.Config().MaxRetries, "an explicit 0 is none")
			assert.Equal(t, 10*time.Second, policy.Config().MaxDelay)
			assert.Equal(t, 2*time.Second, policy.Config().InitialDelay, "the rest is the preset")
		})
	}
}

// A file, and the environment on top of it.
func TestConfigInLayers(t *testing.T) {
	var c generation.Config
	require.NoError(t, json.Unmarshal([]byte(`{"model_name": "gpt2", "idle_timeout": "0s", "retry": {"max_retries": 1}}`), &c))
	assert.Equal(t, generation.NoIdleTimeout, c.IdleTimeout)
	t.Setenv("LLM_RETRY_MAX_DELAY", "5s")
	t.Setenv("LLM_API_KEY", key)
	require.NoError(t, c.UnmarshalEnv("LLM_"))
	assert.Equal(t, "gpt2", c.Model)
	assert.Equal(t, 1, c.Retry.MaxRetries)
	assert.Equal(t, 5*time.Second, c.Retry.MaxDelay)

	text, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"api_key": "***", "model_name": "gpt2", "idle_timeout": "0s",
		"retry": {"max_retries": 1, "max_delay": "5s"}}`, string(text))
	assert.ErrorContains(t, json.Unmarshal(text, &c), "api_key: *** is not allowed: want the secret itself")
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"model": "x"}`:                             `generation: config: "model": this name is not allowed: want one of name, base_url, api_key, model_name`,
		`{"model_name": 5}`:                          `generation: config: model_name: 5 is not allowed: want a text`,
		`{"base_url": "localhost:8000"}`:             `generation: config: base_url: "localhost:8000" is not allowed: want a URL as "http://localhost:8000/v1"`,
		`{"base_url": "http://me:` + key + `@host"}`: `base_url: "http://***@host" is not allowed`,
		`{"base_url": "http://host?k=` + key + `"}`:  `base_url: "http://host?***" is not allowed`,
		`{"base_url": "http:///v1"}`:                 `base_url: "http:///v1" is not allowed`,
		`{"api_key": "` + key + `\n"}`:               `generation: config: api_key: *** is not allowed: want visible ASCII characters`,
		`{"api_key": {"x": "` + key + `"}}`:          `generation: config: api_key: *** is not allowed: want a text`,
		`{"idle_timeout": 5}`:                        `generation: config: idle_timeout: 5 is not allowed: want a duration with its unit, as in "90s"`,
		`{"idle_timeout": "-1ns"}`:                   `generation: config: idle_timeout: "-1ns" is not allowed: want at least 0s; 0s is none`,
		`{"idempotency_keys": "maybe"}`:              `generation: config: idempotency_keys: "maybe" is not allowed: want true or false`,
		`{"retry": 5}`:                               `generation: config: retry: this value is not allowed: want the fields of a retry.Config`,
		`{"retry": {"max_retries": -1}}`:             `generation: config: retry.max_retries: -1 is not allowed: want 0 to 1000000000`,
		`{"name": "` + "\u0007" + `"}`:               `generation: config:`,
		`[]`:                                         `generation: config: json: cannot unmarshal array`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			c := generation.Config{Model: "kept"}
			err := c.UnmarshalJSON([]byte(text))
			require.ErrorContains(t, err, want)
			assert.NotContains(t, err.Error(), key)
			assert.Equal(t, generation.Config{Model: "kept"}, c, "all or nothing")
		})
	}
}

func TestConfigEnvErrors(t *testing.T) {
	for name, tt := range map[string]struct{ value, want string }{
		"IDLE_TIMEOUT":      {"soon", `generation: config: LLM_IDLE_TIMEOUT: "soon" is not allowed`},
		"BASE_URL":          {"nowhere", `generation: config: LLM_BASE_URL: "nowhere" is not allowed`},
		"RETRY_MAX_RETRIES": {"-1", `LLM_RETRY_MAX_RETRIES: -1 is not allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LLM_"+name, tt.value)
			var c generation.Config
			assert.ErrorContains(t, c.UnmarshalEnv("LLM_"), tt.want)
			assert.Zero(t, c)
		})
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	b := budget.MustNew("new errors")
	for name, tt := range map[string]struct {
		config generation.Config
		opts   []generation.Option
		want   string
	}{
		"no model":     {generation.Config{}, nil, `generation: model_name: "" is not allowed: want the name of a model`},
		"idle":         {generation.Config{Model: "m", IdleTimeout: -2}, nil, `generation: idle_timeout: -2ns is not allowed`},
		"retry":        {generation.Config{Model: "m", Retry: retry.Config{MaxDelay: -1}}, nil, `generation: retry.max_delay: -1ns is not allowed`},
		"nil budget":   {generation.Config{Model: "m"}, []generation.Option{nil, generation.WithBudget(nil)}, `generation: budget: nil is not allowed`},
		"two policies": {generation.Config{Model: "m"}, []generation.Option{generation.WithPolicy(nil), generation.WithBudget(b)}, `beside a policy is not allowed`},
		"nil option":   {generation.Config{Model: "m"}, []generation.Option{generation.WithRequestOptions(nil)}, `generation: request_options: nil is not allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := generation.New(tt.config, tt.opts...)
			assert.ErrorContains(t, err, tt.want)
			assert.Nil(t, client)
		})
	}
}

// The key is printed by nothing, however deep it lies.
func TestSecret(t *testing.T) {
	t.Parallel()
	c := generation.Config{Model: "gpt2", APIKey: secret.New(key)}
	client, err := generation.New(c)
	require.NoError(t, err)
	hidden := struct {
		config generation.Config
		secret *secret.Secret
		client *generation.Client
	}{c, &c.APIKey, client}
	for _, v := range []any{c, &c, c.APIKey, &c.APIKey, hidden, &hidden, []any{c}, map[string]any{"c": c}, client, *client} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, key)
			assert.NotContains(t, text, fmt.Sprintf("%x", key))
		}
		var lines bytes.Buffer
		slog.New(slog.NewTextHandler(&lines, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&lines, nil)).Info("x", "v", v)
		assert.NotContains(t, lines.String(), key)
	}
	text, err := yaml.Marshal(c)
	require.NoError(t, err)
	assert.Contains(t, string(text), `'***'`)
	assert.Equal(t, "***", c.APIKey.String())
	assert.Empty(t, secret.New("").String())
	assert.Equal(t, secret.Secret{}, secret.New(""))
}

// The credentials of OpenAI in the environment go to OpenAI alone.
func TestEnvironment(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-of-the-environment")
	t.Setenv("OPENAI_ORG_ID", "org")
	t.Setenv("OPENAI_PROJECT_ID", "project")
	var sent *http.Request
	keep := generation.WithRequestOptions(transport(func(r *http.Request) (*http.Response, error) {
		sent = r
		return nil, resilience.Permanent(http.ErrServerClosed)
	}))
	for name, tt := range map[string]struct {
		config         generation.Config
		url, auth, org string
	}{
		"OpenAI":        {generation.Config{}, "https://api.openai.com/v1/chat/completions", "Bearer sk-of-the-environment", "org"},
		"OpenAI, a key": {generation.Config{APIKey: secret.New(key)}, "https://api.openai.com/v1/chat/completions", "Bearer " + key, "org"},
		"another":       {generation.Config{BaseURL: "http://llm.example/v1/"}, "http://llm.example/v1/chat/completions", "", ""},
		"another, a key": {generation.Config{BaseURL: "http://llm.example", APIKey: secret.New(key)},
			"http://llm.example/chat/completions", "Bearer " + key, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tt.config.Model = "gpt2"
			client, err := generation.New(tt.config, keep)
			require.NoError(t, err)
			_, err = client.Generate(t.Context(), "prompt")
			require.ErrorIs(t, err, http.ErrServerClosed)
			assert.Equal(t, tt.url, sent.URL.String())
			assert.Equal(t, tt.auth, sent.Header.Get("Authorization"))
			assert.Equal(t, tt.org, sent.Header.Get("Openai-Organization"))
			official := client.OpenAI()
			_, err = official.Models.List(t.Context(), option.WithHeader("X", "y"))
			require.Error(t, err)
			assert.Equal(t, tt.auth, sent.Header.Get("Authorization"))
		})
	}
}
