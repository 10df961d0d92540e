package vectorstore

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/observable-go/toolkit/internal/configtext"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

// Config is what may stand in a file or in the environment. A zero field means its default.
// In JSON, YAML and the environment the names are in snake case:
//
//	{"url": "http://localhost:6334", "collection_name": "documents", "retry": {"max_retries": 5}}
//
// Decoding sets only what is there. Unknown names and values out of range are errors. Make it a
// named field of your own configuration: embedded or inlined it would take over the decoding of
// the whole.
type Config struct {
	// URL is where Qdrant listens for gRPC, as "http://localhost:6334", or "https://..." for
	// TLS; it is required. Without a port it is 6334. Port 6333, which is that of Qdrant's REST
	// interface, is an error. It has no path, and no user. In text it may also be called
	// "qdrant_url".
	URL string
	// CollectionName is the collection, which must exist when it is first used: 1 to 255 bytes.
	// It is required.
	CollectionName string
	// APIKey is sent with every call. It is never printed. Without TLS it travels in plain text,
	// of which the client of Qdrant warns by the default logger of package log/slog.
	APIKey secret.Secret
	// VectorName is the vector to use if the points of the collection have several; by default
	// it is the one without a name.
	VectorName string
	// ContentKey and MetadataKey are the keys in the payload of a point under which the content
	// and the metadata of a document stand: "page_content" and "metadata" by default, as in
	// collections that LangChain has made. In text they are "content_payload_key" and
	// "metadata_payload_key".
	ContentKey  string
	MetadataKey string
	// Retry says how calls are retried. What it does not set is that of [retry.VectorSearch]: up
	// to 3 retries, from 1s to 30s. In text it may also be called "retry_config".
	Retry retry.Config
}

// Defaults of a Config.
const (
	DefaultPort        = 6334
	DefaultContentKey  = "page_content"
	DefaultMetadataKey = "metadata"
)

const (
	restPort          = 6333
	maxPort           = 65535
	maxCollectionName = 255
)

// withDefaults returns c with every field that was not set at its default. c must be valid.
func (c Config) withDefaults() (Config, error) {
	if c.ContentKey == "" {
		c.ContentKey = DefaultContentKey
	}
	if c.MetadataKey == "" {
		c.MetadataKey = DefaultMetadataKey
	}
	if err := c.Retry.Validate(); err != nil {
		return c, configtext.Within("retry", err)
	}
	merged, err := configtext.Merge(retry.VectorSearch(), c.Retry)
	c.Retry = merged
	return c, err
}

// Validate reports the first field that is missing or out of its range. The error holds a
// [*retry.ConfigError].
func (c Config) Validate() error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	if _, err := parseURL(c.URL); err != nil {
		return err
	}
	switch {
	case c.CollectionName == "" || len(c.CollectionName) > maxCollectionName:
		return notAllowed("collection_name", strconv.Quote(c.CollectionName), fmt.Sprintf("1 to %d bytes", maxCollectionName))
	case !printable(c.APIKey.Reveal()):
		return notAllowed("api_key", "this value", "printable ASCII, as gRPC demands of metadata")
	case c.APIKey.Reveal() == secret.Mask:
		return notAllowed("api_key", secret.Mask, "the key itself: this is what stands in its place where a Config was written")
	case c.ContentKey == c.MetadataKey:
		return notAllowed("metadata_payload_key", strconv.Quote(c.MetadataKey), "another key than content_payload_key")
	}
	for _, name := range [][2]string{
		{"collection_name", c.CollectionName}, {"vector_name", c.VectorName},
		{"content_payload_key", c.ContentKey}, {"metadata_payload_key", c.MetadataKey},
	} {
		if !utf8.ValidString(name[1]) {
			return notAllowed(name[0], strconv.Quote(name[1]), "UTF-8, as protobuf demands of strings")
		}
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// String returns the Config as JSON, without its APIKey.
func (c Config) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		return "vectorstore: " + err.Error()
	}
	return string(text)
}

// An endpoint is where a URL leads.
type endpoint struct {
	host string // in brackets if it is an IPv6 address
	port int
	tls  bool
}

// wantURL is what a URL may be. The URL itself is not shown in errors: it may hold a password.
const wantURL = `"http://host:6334" or "https://host:6334", without a user, a path or a query`

func parseURL(text string) (endpoint, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return endpoint{}, notAllowed("url", `""`, wantURL)
	case err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Hostname() == "":
		return endpoint{}, notAllowed("url", "this value", wantURL)
	case !slices.Contains([]string{"", "/"}, u.EscapedPath()) || !slices.Contains([]string{"http", "https"}, u.Scheme):
		return endpoint{}, notAllowed("url", strconv.Quote(text), wantURL)
	}
	e := endpoint{host: u.Hostname(), port: DefaultPort, tls: u.Scheme == "https"}
	if strings.Contains(e.host, ":") {
		e.host = "[" + e.host + "]"
	}
	if u.Port() == "" {
		return e, nil
	}
	e.port, err = strconv.Atoi(u.Port())
	switch {
	case err != nil || e.port < 1 || e.port > maxPort:
		return endpoint{}, notAllowed("url", strconv.Quote(text), fmt.Sprintf("a port of 1 to %d", maxPort))
	case e.port == restPort:
		return endpoint{}, notAllowed("url", strconv.Quote(text), fmt.Sprintf("the port of Qdrant's gRPC interface, which is %d by default; "+
			"%d is that of its REST interface", DefaultPort, restPort))
	}
	return e, nil
}

func notAllowed(field string, value any, want string) error {
	return configtext.NotAllowed(field, value, want)
}
