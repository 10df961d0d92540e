package retryredis

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/resilience"
)

// Instrument makes client run its commands and pipelines under policy, which may be a
// *retry.Policy, a resilience.Chain or any other; nil stands for none: each is sent once,
// and its error says whether it may be repeated. Call it once, before the client is used
// and before other hooks that are to see attempts rather than calls.
//
// The client is a *redis.Client, also of a failover, a *redis.ClusterClient or a *redis.Ring,
// made of options that [WithoutRetries] has prepared: one that still retries by itself is an
// error.
func Instrument(client redis.UniversalClient, policy resilience.Policy, opts ...Option) error {
	s := settings{idempotent: Idempotent}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&s); err != nil {
			return fmt.Errorf("retryredis: %w", err)
		}
	}
	if err := checkRetries(client); err != nil {
		return err
	}
	h := &hook{policy: policy, idempotent: s.idempotent}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(&nodeHook{h}) })
	}
	client.AddHook(h)
	return nil
}

// WithoutRetries turns the client's own retries off in options, which it returns: those of
// commands (MaxRetries) and those of connections (DialerRetries). Redirects of a cluster are
// no retries, and stay.
func WithoutRetries[
	O redis.Options | redis.ClusterOptions | redis.FailoverOptions | redis.RingOptions | redis.UniversalOptions,
](options *O) *O {
	if options == nil {
		return nil
	}
	switch o := any(options).(type) {
	case *redis.Options:
		o.MaxRetries, o.DialerRetries = noRetries, oneDial
	case *redis.ClusterOptions:
		o.MaxRetries, o.DialerRetries = noRetries, oneDial
		// A cluster also waits so long before it asks again for what the policy then decides.
		o.MinRetryBackoff, o.MaxRetryBackoff = noBackoff, noBackoff
	case *redis.FailoverOptions:
		o.MaxRetries, o.DialerRetries = noRetries, oneDial
	case *redis.RingOptions:
		o.MaxRetries, o.DialerRetries = noRetries, oneDial
	case *redis.UniversalOptions:
		o.MaxRetries, o.DialerRetries = noRetries, oneDial
		o.MinRetryBackoff, o.MaxRetryBackoff = noBackoff, noBackoff
	}
	return options
}

// In the options of go-redis 0 is the default, -1 is none, and DialerRetries counts dials.
const (
	noRetries = -1
	noBackoff = -1
	oneDial   = 1
)

// checkRetries returns an error for a client that retries by itself. In the options of a
// client that was made 0 is no retries; a cluster hands a -1 on to its nodes.
func checkRetries(client redis.UniversalClient) error {
	var retries, dials int
	switch c := client.(type) {
	case *redis.Client:
		if c == nil {
			return notAClient(client)
		}
		retries, dials = c.Options().MaxRetries, c.Options().DialerRetries
	case *redis.ClusterClient:
		if c == nil {
			return notAClient(client)
		}
		retries, dials = c.Options().MaxRetries, c.Options().DialerRetries
	case *redis.Ring:
		if c == nil {
			return notAClient(client)
		}
		retries, dials = c.Options().MaxRetries, c.Options().DialerRetries
	default:
		return notAClient(client)
	}
	const want = "want %d: prepare the options of the client by retryredis.WithoutRetries"
	if retries > 0 {
		return fmt.Errorf("retryredis: max_retries: %d is not allowed: "+want, retries, noRetries)
	}
	if dials != oneDial {
		return fmt.Errorf("retryredis: dialer_retries: %d is not allowed: "+want, dials, oneDial)
	}
	return nil
}

func notAClient(client redis.UniversalClient) error {
	return fmt.Errorf("retryredis: client: a nil or unknown %T is not allowed: "+
		"want a *redis.Client, *redis.ClusterClient or *redis.Ring", client)
}
