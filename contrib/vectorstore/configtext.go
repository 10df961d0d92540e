package vectorstore

import (
	"encoding/json"

	"github.com/observable-go/toolkit/internal/configtext"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

// text is how a Config stands in JSON, YAML and the environment.
var text = configtext.Form[Config]{
	Package: "vectorstore",
	Fields: []configtext.Field[Config]{
		configtext.String(func(c *Config) *string { return &c.URL }, "url", "qdrant_url"),
		configtext.String(func(c *Config) *string { return &c.CollectionName }, "collection_name"),
		configtext.Secret(func(c *Config) *secret.Secret { return &c.APIKey }, "api_key"),
		configtext.String(func(c *Config) *string { return &c.VectorName }, "vector_name"),
		configtext.String(func(c *Config) *string { return &c.ContentKey }, "content_payload_key"),
		configtext.String(func(c *Config) *string { return &c.MetadataKey }, "metadata_payload_key"),
	},
	Retry: func(c *Config) *retry.Config { return &c.Retry },
	Check: func(c *Config) error {
		if c.URL == "" {
			return nil // it may stand elsewhere
		}
		_, err := parseURL(c.URL)
		return err
	},
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Config) UnmarshalJSON(data []byte) error { return text.ReadJSON(c, data) }

// UnmarshalYAML reads YAML. It is found by the YAML packages that follow gopkg.in/yaml.v2, as
// v3, its successor go.yaml.in/yaml and goccy/go-yaml do.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error { return text.ReadYAML(c, unmarshal) }

// UnmarshalEnv reads the environment variables of that prefix: with the prefix "SEARCH_" they
// are SEARCH_URL, SEARCH_COLLECTION_NAME, SEARCH_RETRY_MAX_RETRIES and so on, a field's name in
// upper case each. Variables that are not there or empty leave their field as it is.
func (c *Config) UnmarshalEnv(prefix string) error { return text.ReadEnv(c, prefix) }

// MarshalJSON implements [json.Marshaler]. It writes the fields that are set. In place of the
// APIKey stands secret.Mask, which is no key when it is read again.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(text.Texts(&c)) }

// MarshalYAML writes what MarshalJSON writes.
func (c Config) MarshalYAML() (any, error) { return text.Texts(&c), nil }
