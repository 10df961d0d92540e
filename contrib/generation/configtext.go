package generation

import (
	"encoding/json"
	"time"

	"github.com/observable-go/toolkit/internal/configtext"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

// text is how a Config stands in JSON, YAML and the environment.
var text = configtext.Form[Config]{
	Package: "generation",
	Fields: []configtext.Field[Config]{
		configtext.String(func(c *Config) *string { return &c.Name }, "name"),
		configtext.String(func(c *Config) *string { return &c.BaseURL }, "base_url"),
		configtext.Secret(func(c *Config) *secret.Secret { return &c.APIKey }, "api_key"),
		configtext.String(func(c *Config) *string { return &c.Model }, "model_name"),
		configtext.String(func(c *Config) *string { return &c.EmbeddingModel }, "embedding_model"),
		configtext.Duration(func(c *Config) *time.Duration { return &c.IdleTimeout }, NoIdleTimeout, "idle_timeout"),
		configtext.Bool(func(c *Config) *bool { return &c.IdempotencyKeys }, "idempotency_keys"),
		configtext.Bool(func(c *Config) *bool { return &c.IgnoreRefusals }, "ignore_refusals"),
	},
	Retry: func(c *Config) *retry.Config { return &c.Retry },
	Check: func(c *Config) error { return c.validateSet() },
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Config) UnmarshalJSON(data []byte) error { return text.ReadJSON(c, data) }

// UnmarshalYAML reads YAML. It is found by the YAML packages that follow
// gopkg.in/yaml.v2, as v3, its successor go.yaml.in/yaml and goccy/go-yaml do.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error { return text.ReadYAML(c, unmarshal) }

// UnmarshalEnv reads the environment variables of that prefix: with the prefix "LLM_" they
// are LLM_BASE_URL, LLM_API_KEY, LLM_MODEL_NAME and so on, a field's name in upper case each, and
// LLM_RETRY_MAX_RETRIES and the like for those of Retry. Variables that are not there or
// empty leave their field as it is.
func (c *Config) UnmarshalEnv(prefix string) error { return text.ReadEnv(c, prefix) }

// MarshalJSON implements [json.Marshaler]. It writes the fields that are set, and *** for the
// API key, which UnmarshalJSON does not take for a key.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(text.Texts(&c)) }

// MarshalYAML writes what MarshalJSON does.
func (c Config) MarshalYAML() (any, error) { return text.Texts(&c), nil }
