package vectorstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/contrib/vectorstore"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

const key = "k3y-0f-qdrant"

func TestConfigText(t *testing.T) {
	t.Parallel()
	const text = `{
		"url": "https://qdrant.example:6334", "collection_name": "documents", "api_key": "k3y-0f-qdrant", "vector_name": "text",
		"content_payload_key": "body", "metadata_payload_key": "about", "retry": {"max_retries": 0, "initial_delay": "2s"}
	}`
	var fromJSON, fromYAML vectorstore.Config
	require.NoError(t, json.Unmarshal([]byte(text), &fromJSON))
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", " ")), &fromYAML))
	assert.Equal(t, fromJSON, fromYAML)
	assert.Equal(t, key, fromJSON.APIKey.Reveal())
	assert.Equal(t, "https://qdrant.example:6334", fromJSON.URL)
	assert.Equal(t, "text", fromJSON.VectorName)
	assert.Equal(t, "body", fromJSON.ContentKey)
	assert.Equal(t, "about", fromJSON.MetadataKey)
	assert.Equal(t, 2*time.Second, fromJSON.Retry.InitialDelay)
	require.NoError(t, fromJSON.Validate())

	// What is not there stays as it was.
	require.NoError(t, json.Unmarshal([]byte(`{"vector_name": "image", "url": null}`), &fromJSON))
	assert.Equal(t, "image", fromJSON.VectorName)
	assert.Equal(t, "https://qdrant.example:6334", fromJSON.URL)

	// What is written can be read, but for the key.
	for _, c := range []vectorstore.Config{{}, {URL: "http://localhost", Retry: retry.FastCall()}, fromYAML} {
		c.APIKey = secret.Secret{}
		data, err := json.Marshal(c)
		require.NoError(t, err)
		var again vectorstore.Config
		require.NoError(t, json.Unmarshal(data, &again), string(data))
		data2, err := json.Marshal(again)
		require.NoError(t, err)
		assert.JSONEq(t, string(data), string(data2))
	}
}

// The names that the configuration had in Python.
func TestConfigAliases(t *testing.T) {
	t.Parallel()
	var c vectorstore.Config
	require.NoError(t, json.Unmarshal([]byte(`{"qdrant_url": "http://localhost:6334", "retry_config": {"max_retries": 7}}`), &c))
	assert.Equal(t, "http://localhost:6334", c.URL)
	assert.Equal(t, 7, c.Retry.MaxRetries)
}

func TestConfigFromEnvironment(t *testing.T) {
	t.Setenv("STORE_QDRANT_URL", " http://localhost:6334 ")
	t.Setenv("STORE_COLLECTION_NAME", "documents")
	t.Setenv("STORE_API_KEY", key)
	t.Setenv("STORE_RETRY_MAX_RETRIES", "0")
	var c vectorstore.Config
	require.NoError(t, c.UnmarshalEnv("STORE_"))
	assert.Equal(t, "http://localhost:6334", c.URL)
	assert.Equal(t, "documents", c.CollectionName)
	assert.Equal(t, key, c.APIKey.Reveal())
	data, err := json.Marshal(c.Retry)
	require.NoError(t, err)
	assert.JSONEq(t, `{"max_retries": 0}`, string(data))

	t.Setenv("STORE_RETRY_MAX_RETRIES", "many")
	before := c
	require.ErrorContains(t, c.UnmarshalEnv("STORE_"), `STORE_RETRY_MAX_RETRIES: "many" is not allowed`)
	t.Setenv("STORE_RETRY_MAX_RETRIES", "")
	t.Setenv("STORE_URL", "http://elsewhere:6334")
	require.ErrorContains(t, c.UnmarshalEnv("STORE_"), "want either url or qdrant_url")
	assert.Equal(t, before, c)
}

func TestConfigTextThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"colection_name": "x"}`: `vectorstore: config: "colection_name": this name is not allowed: want one of url, qdrant_url, collection_name, ` +
			`api_key, vector_name, content_payload_key, metadata_payload_key, retry, retry_config`,
		`{"url": 6334}`:                        `vectorstore: config: url: 6334 is not allowed: want a text`,
		`{"api_key": ["k3y-0f-qdrant"]}`:       `vectorstore: config: api_key: *** is not allowed: want a text`,
		`{"url": "a", "qdrant_url": "b"}`:      `vectorstore: config: qdrant_url: a second value is not allowed: want either url or qdrant_url`,
		`{"retry": {"max_retries": -1}}`:       `vectorstore: config: retry.max_retries: -1 is not allowed: want 0 to 1000000000`,
		`{"retry": {"retries": 1}}`:            `vectorstore: config: retry."retries": this name is not allowed`,
		`{"retry": 3}`:                         `vectorstore: config: retry: `,
		`{"url": "http://localhost:6333"}`:     `vectorstore: config: url: "http://localhost:6333" is not allowed: want the port of Qdrant's gRPC interface, which is 6334`,
		`{"url": "localhost:6334"}`:            `vectorstore: config: url: `,
		`{"url": "http://me:s3cret@x:6334"}`:   `vectorstore: config: url: this value is not allowed`,
		`{"url": "http://x:6334?api-key=k3y"}`: `vectorstore: config: url: this value is not allowed`,
		`{"url": "http://[::1"}`:               `vectorstore: config: url: this value is not allowed`,
		`{"url": "http://x:66666"}`:            `vectorstore: config: url: "http://x:66666" is not allowed: want a port of 1 to 65535`,
		`{"url": "http://x:6334/collections"}`: `vectorstore: config: url: "http://x:6334/collections" is not allowed`,
		`[]`:                                   `vectorstore: config: json: `,
	} {
		for name, unmarshal := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
			c := vectorstore.Config{CollectionName: "before"}
			err := unmarshal([]byte(text), &c)
			if assert.Error(t, err, name, text) && (name == "json" || text != "[]") {
				assert.Contains(t, err.Error(), want, name)
			}
			assert.NotContains(t, fmt.Sprint(err), "k3y", name)
			assert.NotContains(t, fmt.Sprint(err), "s3cret", name)
			assert.Equal(t, vectorstore.Config{CollectionName: "before"}, c, "all or nothing")
		}
	}
}

func TestNewThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	valid := vectorstore.Config{URL: "http://localhost:6334", CollectionName: "documents"}
	with := func(change func(*vectorstore.Config)) vectorstore.Config {
		c := valid
		change(&c)
		return c
	}
	withRetry := with(func(c *vectorstore.Config) { c.Retry = retry.FastCall() })
	for want, f := range map[string]func() (*vectorstore.Client, error){
		"embedder: nil is not allowed: want an Embedder":                         func() (*vectorstore.Client, error) { return vectorstore.New(nil, valid) },
		`url: "" is not allowed: want "http://host:6334" or "https://host:6334"`: of(with(func(c *vectorstore.Config) { c.URL = "" })),
		`collection_name: "" is not allowed: want 1 to 255 bytes`:                of(with(func(c *vectorstore.Config) { c.CollectionName = "" })),
		"api_key: this value is not allowed: want printable ASCII":               of(with(func(c *vectorstore.Config) { c.APIKey = secret.New(key + "\n") })),
		"api_key: *** is not allowed: want the key itself":                       of(with(func(c *vectorstore.Config) { c.APIKey = secret.New("***") })),
		"metadata_payload_key: \"page_content\" is not allowed":                  of(with(func(c *vectorstore.Config) { c.MetadataKey = "page_content" })),
		`collection_name: "\xff" is not allowed: want UTF-8`:                     of(with(func(c *vectorstore.Config) { c.CollectionName = "\xff" })),
		`vector_name: "\xff" is not allowed: want UTF-8`:                         of(with(func(c *vectorstore.Config) { c.VectorName = "\xff" })),
		`content_payload_key: "\xff" is not allowed: want UTF-8`:                 of(with(func(c *vectorstore.Config) { c.ContentKey = "\xff" })),
		`metadata_payload_key: "\xff" is not allowed: want UTF-8`:                of(with(func(c *vectorstore.Config) { c.MetadataKey = "\xff" })),
		"retry.max_retries: -1 is not allowed":                                   of(with(func(c *vectorstore.Config) { c.Retry.MaxRetries = -1 })),
		"policy: a policy together with a retry, a budget or telemetry":          of(withRetry, vectorstore.WithPolicy(policy())),
		"policy: a policy together with a retry, a budget or telemetry ":         of(valid, vectorstore.WithPolicy(nil), vectorstore.WithBudget(nil)),
		"dial_options: nil is not allowed: want an option of gRPC":               of(valid, vectorstore.WithDialOptions(nil)),
		"name": of(valid, nil, vectorstore.WithName("")),
	} {
		_, err := f()
		require.Error(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), "vectorstore: "), err)
		assert.Contains(t, err.Error(), want)
		assert.NotContains(t, err.Error(), key)
	}
	_, err := vectorstore.New(letters{}, vectorstore.Config{})
	_, ok := errors.AsType[*retry.ConfigError](err)
	assert.True(t, ok)
}

func of(cfg vectorstore.Config, opts ...vectorstore.Option) func() (*vectorstore.Client, error) {
	return func() (*vectorstore.Client, error) { return vectorstore.New(letters{}, cfg, opts...) }
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://localhost", "http://localhost:6334/", "https://x.cloud.qdrant.io:6334", "http://[::1]:6334", "http://127.0.0.1:1"} {
		c, err := vectorstore.New(letters{}, vectorstore.Config{URL: url, CollectionName: "documents"})
		if assert.NoError(t, err, url) {
			assert.NoError(t, c.Close())
		}
	}
}

// The key shows in no form in which somebody might print or write it by accident.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	c := vectorstore.Config{URL: "http://localhost:6334", CollectionName: "documents", APIKey: secret.New(key)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%f", "%10s", "%U", "%c"} {
		fmt.Fprintf(&out, verb+"\n", c.APIKey)
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", &c)
		fmt.Fprintf(&out, verb+"\n", []any{c.APIKey, struct{ C vectorstore.Config }{c}})
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("configured", "config", c, "pointer", &c, "key", c.APIKey)
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		data, err := marshal(map[string]any{"config": c, "key": c.APIKey})
		require.NoError(t, err)
		out.Write(data)
	}
	assert.NotContains(t, out.String(), key)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", key))
	assert.NotContains(t, strings.ToLower(out.String()), fmt.Sprintf("%x", key))
	assert.Contains(t, out.String(), "***")
	assert.Equal(t, `{"api_key":"***","collection_name":"documents","url":"http://localhost:6334"}`, c.String())
}

func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		`{"url": "http://localhost:6334", "collection_name": "x", "retry": {"max_retries": 1}}`, `{"qdrant_url": "https://[::1]:1/"}`,
		`{"url": "http://a:b@c:6334"}`, `{"retry": null, "api_key": "x"}`, `[]`, `{"url": "HTTP://x:065"}`, `{"url": "http://%31:6334"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c vectorstore.Config
		if c.UnmarshalJSON([]byte(text)) != nil {
			assert.Equal(t, vectorstore.Config{}, c)
			return
		}
		if c.Validate() != nil {
			return
		}
		client, err := vectorstore.New(letters{}, c)
		if err == nil { // gRPC has a word on hosts too
			assert.NoError(t, client.Close())
		}
	})
}
