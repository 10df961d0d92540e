package retrygrpc

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/observable-go/toolkit/resilience"
)

// An Option changes a setting of a new [Client]. Later options override earlier ones.
type Option func(*settings) error

type settings struct {
	codes             map[codes.Code]bool // that are repeated
	methods           func(fullMethod string) bool
	policies          map[string]resilience.Policy // by full method
	replayLimit       int
	silent            bool // sends no signals to the layers below
	ignoreShouldRetry bool
}

// DefaultReplayLimit is how many bytes of messages a stream keeps for another attempt: 1 MiB.
const DefaultReplayLimit = 1 << 20

// maxReplayLimit is 1 GiB.
const maxReplayLimit = 1 << 30

func defaults() settings {
	return settings{
		codes:       map[codes.Code]bool{codes.Unavailable: true},
		replayLimit: DefaultReplayLimit,
	}
}

// WithCodes names the codes that are repeated, in place of UNAVAILABLE: RESOURCE_EXHAUSTED
// among them also if the server did not say when to come back, and DEADLINE_EXCEEDED also if it
// was the server that said so. Without any none is repeated, but for the end of an attempt's own
// time and a RESOURCE_EXHAUSTED that came with a time.
//
// ABORTED asks the caller to begin its transaction anew, which a repetition of its last call
// does not. Name it only where the call is the whole transaction.
func WithCodes(repeated ...codes.Code) Option {
	return func(s *settings) error {
		s.codes = make(map[codes.Code]bool, len(repeated))
		for _, code := range repeated {
			if code == codes.OK || code > codes.Unauthenticated {
				return fmt.Errorf("retrygrpc: codes: %d is not allowed: want 1 to 16, the codes of failures", code)
			}
			s.codes[code] = true
		}
		return nil
	}
}

// WithMethods decides which methods may be executed twice, by their full name such as
// "/shop.Orders/Get". The others run under the policy too, and are not repeated. By default all
// are repeated: gRPC does not say which methods are idempotent. [Idempotent] is such a function
// for services whose definition says it. f may be called by several goroutines at once.
func WithMethods(f func(fullMethod string) bool) Option {
	return func(s *settings) error {
		if f == nil {
			return errors.New("retrygrpc: methods: nil is not allowed: want a function")
		}
		s.methods = f
		return nil
	}
}

// WithPolicies runs some methods under policies of their own, by their full name such as
// "/shop.Orders/Get". A nil policy runs a method once.
func WithPolicies(byFullMethod map[string]resilience.Policy) Option {
	return func(s *settings) error {
		for method := range byFullMethod {
			if !isFullMethod(method) {
				return fmt.Errorf("retrygrpc: policies: %q is not allowed: want the full name of a method, as in %q",
					method, "/shop.Orders/Get")
			}
		}
		s.policies = maps.Clone(byFullMethod)
		return nil
	}
}

// isFullMethod reports whether name has the form /service/method.
func isFullMethod(name string) bool {
	rest, ok := strings.CutPrefix(name, "/")
	service, method, two := strings.Cut(rest, "/")
	return ok && two && service != "" && method != "" && !strings.Contains(method, "/")
}

// WithReplayLimit bounds how many bytes of messages a stream on which the client sends several
// keeps until the first answer, from 0 to 1 GiB: [DefaultReplayLimit] if it is not given. A
// message counts with its size in protobuf and 64 bytes more. Of a stream that has sent more, or
// messages that are not protobuf, no attempt is repeated any more. The one request of a
// server-streaming call is always kept.
func WithReplayLimit(bytes int) Option {
	return func(s *settings) error {
		if bytes < 0 || bytes > maxReplayLimit {
			return fmt.Errorf("retrygrpc: replay_limit: %d is not allowed: want 0 to %d", bytes, maxReplayLimit)
		}
		s.replayLimit = bytes
		return nil
	}
}

// WithoutSignals keeps from the services below that a call is a repetition: by default a
// repeated call has grpc-previous-rpc-attempts (gRFC A6) in its metadata, with the number of the
// attempts before it, as has the OpenTelemetry baggage under which it is sent.
func WithoutSignals() Option {
	return func(s *settings) error {
		s.silent = true
		return nil
	}
}

// WithIgnoreShouldRetry repeats a call also if its answer asks not to: by a negative
// grpc-retry-pushback-ms, as a service sends that has made its retries in vain, or by
// x-should-retry. The retries multiply then.
func WithIgnoreShouldRetry() Option {
	return func(s *settings) error {
		s.ignoreShouldRetry = true
		return nil
	}
}
