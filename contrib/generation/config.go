package generation

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"github.com/observable-go/toolkit/internal/configtext"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Config is the part of a client that is data: what may stand in a file or in the
// environment.
//
//	{"base_url": "http://localhost:8000/v1", "model_name": "gpt2", "retry": {"max_retries": 2}}
//
// A zero field means its default. Decoding sets only what is there; unknown names and values
// out of range are errors. Make it a named field of your own configuration.
type Config struct {
	// Name says in telemetry whose calls these are: 1 to 128 bytes of printable UTF-8,
	// "generation" by default. The operations are this and ".generate", ".stream" or
	// ".embed".
	Name string
	// BaseURL is where the API of the server begins, as "http://localhost:8000/v1". If it is
	// empty it is that of the official client: the environment variable OPENAI_BASE_URL, or
	// OpenAI.
	BaseURL string
	// APIKey authorizes the requests. If it and BaseURL are empty, it is that of the
	// environment variable OPENAI_API_KEY. A server with a BaseURL is sent no other
	// credentials than this.
	APIKey secret.Secret
	// Model ("model_name" in a file) is the model that generates. It must be set.
	Model string
	// EmbeddingModel is the model for embeddings; Model by default.
	EmbeddingModel string
	// Retry says how calls are repeated. What it does not set is that of retry.LLMGeneration: 2
	// retries, after 2 s and 4 s at most. In text it may also be called "retry_config". AttemptTimeout
	// bounds each attempt: the whole answer, and of a stream the time to the first token.
	Retry retry.Config
	// IdleTimeout bounds how long a stream may be silent once it has begun: 5m by default;
	// NoIdleTimeout, 0s in a file, is no bound. Comments that keep a connection alive count as
	// signs of life.
	IdleTimeout time.Duration
	// IdempotencyKeys sends a random Idempotency-Key with every generation and embedding,
	// which is the same in all attempts of the call. It is for servers and gateways that answer a repeated key from memory. With
	// such a header net/http itself, unseen, also repeats a request for which a connection
	// that was used before turns out to be dead.
	IdempotencyKeys bool
	// IgnoreRefusals repeats a request although the answer says X-Should-Retry: false.
	IgnoreRefusals bool
}

// Defaults of a Config.
const (
	DefaultName        = "generation"
	DefaultIdleTimeout = 5 * time.Minute
)

// NoIdleTimeout is the IdleTimeout of a Config that sets no bound, as 0 is the default.
const NoIdleTimeout time.Duration = -1

// withDefaults returns c with every field that was not set at its default. c must be valid.
func (c Config) withDefaults() (Config, error) {
	c.Name = cmp.Or(c.Name, DefaultName)
	c.EmbeddingModel = cmp.Or(c.EmbeddingModel, c.Model)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	merged, err := configtext.Merge(retry.LLMGeneration(), c.Retry)
	c.Retry = merged
	return c, err
}

// Validate reports the first field that is not allowed, as a [*retry.ConfigError].
func (c Config) Validate() error {
	if err := c.validateSet(); err != nil {
		return err
	}
	if c.Model == "" {
		return notAllowed("model_name", `""`, "the name of a model")
	}
	return nil
}

// validateSet is Validate for what is there, as of a file of several.
func (c Config) validateSet() error {
	switch {
	case c.Name != "" && telemetry.ValidateName(c.Name) != nil:
		return notAllowed("name", quote(c.Name), "1 to 128 bytes of printable UTF-8")
	case !validBaseURL(c.BaseURL):
		return notAllowed("base_url", quote(c.BaseURL), `a URL as "http://localhost:8000/v1", without user, query and fragment`)
	case c.APIKey.Reveal() == secret.Mask:
		return notAllowed("api_key", "the mask "+secret.Mask, "the key itself")
	case !validKey(c.APIKey.Reveal()):
		return notAllowed("api_key", secret.Mask, "visible ASCII characters")
	case c.IdleTimeout < 0 && c.IdleTimeout != NoIdleTimeout:
		return notAllowed("idle_timeout", c.IdleTimeout, "at least 0s; 0s is no timeout")
	}
	return configtext.Within("retry", c.Retry.Validate())
}

// validBaseURL reports whether the official client can use s. User information and queries
// would be secrets in a place where nobody expects them.
func validBaseURL(s string) bool {
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// validKey reports whether a header can hold s. The error of net/http would show it.
func validKey(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func notAllowed(field string, value any, want string) error {
	return configtext.NotAllowed(field, value, want)
}

// quote returns a value of the user's for an error, without the secrets of URLs.
func quote(s string) string { return strconv.Quote(telemetry.Redact(s)) }
