package generation

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A Client generates text and embeddings. It is safe for use by several goroutines at once.
//
// Its policy stands around whole calls of the official client, whose own retries are switched
// off: the answer is decoded within the attempt, so that one that makes no sense is
// repeated as well. [Options] is the other way, around the HTTP exchange alone.
type Client struct {
	model, embeddingModel string
	idempotencyKeys       bool

	policy                  resilience.Policy
	generate, stream, embed resilience.Policy // policy, under the names of the operations

	once  openai.Client // makes single attempts
	whole openai.Client // makes calls under policy
}

// New returns a client. It makes no request.
func New(cfg Config, opts ...Option) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("generation: %w", err)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("generation: %w", err)
	}
	var s settings
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("generation: %w", err)
		}
	}
	policy, err := s.policyOf(cfg)
	if err != nil {
		return nil, err
	}
	a := attempts{idle: max(0, cfg.IdleTimeout), ignoreRefusals: cfg.IgnoreRefusals}
	server, once := cfg.server(), []option.RequestOption{option.WithMaxRetries(0)}
	return &Client{
		model: cfg.Model, embeddingModel: cfg.EmbeddingModel, idempotencyKeys: cfg.IdempotencyKeys,
		policy:   policy,
		generate: resilience.Named(policy, cfg.Name+".generate"),
		stream:   resilience.Named(policy, cfg.Name+".stream"),
		embed:    resilience.Named(policy, cfg.Name+".embed"),
		once:     openai.NewClient(slices.Concat(server, []option.RequestOption{option.WithMiddleware(a.send)}, s.requests, once)...),
		whole:    openai.NewClient(slices.Concat(server, under(policy, a), s.requests, once)...),
	}, nil
}

// policyOf returns the policy of the user, or that of Config.Retry.
func (s *settings) policyOf(cfg Config) (resilience.Policy, error) {
	if s.hasPolicy {
		if len(s.retry) > 0 {
			return nil, errors.New("generation: a budget or telemetry beside a policy is not allowed: want it in the policy itself")
		}
		return s.policy, nil
	}
	policy, err := retry.New(cfg.Name, append([]retry.Option{retry.WithConfig(cfg.Retry)}, s.retry...)...)
	if err != nil {
		return nil, fmt.Errorf("generation: %w", err)
	}
	return policy, nil
}

// server returns the options that lead to the server. The official client takes what is not set
// from the environment, where the credentials of OpenAI may be: they are for no other server.
func (c Config) server() []option.RequestOption {
	var opts []option.RequestOption
	key := c.APIKey.Reveal()
	if c.BaseURL != "" {
		opts = append(opts,
			option.WithBaseURL(c.BaseURL), option.WithAPIKey(key), option.WithAdminAPIKey(""),
			option.WithHeaderDel("OpenAI-Organization"), option.WithHeaderDel("OpenAI-Project"))
	} else if key != "" {
		opts = append(opts, option.WithAPIKey(key))
	}
	return opts
}

// OpenAI returns an official client for what a Client has no method for, as responses, images
// or the list of models. Each of its calls is under the client's policy, by its own name, as with
// [Options].
func (c *Client) OpenAI() openai.Client { return c.whole }

// Policy returns the policy of the calls.
func (c *Client) Policy() resilience.Policy { return c.policy }

// call returns the options of all attempts of a call.
func (c *Client) call(body []byte, opts []option.RequestOption) []option.RequestOption {
	// Encoded once, an attempt sends the very bytes of the one before it.
	all := []option.RequestOption{option.WithRequestBody("application/json", body)}
	if c.idempotencyKeys {
		all = append(all, option.WithHeader("Idempotency-Key", rand.Text()))
	}
	all = append(all, opts...)
	return append(all, option.WithMaxRetries(0))
}
