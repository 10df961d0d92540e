package retryhttp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
)

// An Option changes a setting of a new [Transport].
type Option func(*settings) error

type settings struct {
	base              http.RoundTripper
	statuses          map[int]bool // that are repeated
	repeatable        func(*http.Request) bool
	bufferLimit       int64
	silent            bool // sends no signals to the layers below
	ignoreShouldRetry bool
}

// DefaultBufferLimit is how many bytes of a request body that cannot be read twice are kept
// for another attempt: 1 MiB.
const DefaultBufferLimit = 1 << 20

func defaults() settings {
	return settings{
		base:        http.DefaultTransport,
		statuses:    maps.Clone(transient),
		repeatable:  idempotent,
		bufferLimit: DefaultBufferLimit,
	}
}

// WithBase sends the attempts through base in place of [http.DefaultTransport]. A span that
// base makes, as that of otelhttp does, is one of an attempt.
func WithBase(base http.RoundTripper) Option {
	return func(s *settings) error {
		if base == nil {
			return errors.New("retryhttp: base: nil is not allowed: want a RoundTripper")
		}
		s.base = base
		return nil
	}
}

// WithStatuses names the statuses that are repeated, from 400 to 599, in place of 408, 425,
// 429, 500, 502, 503 and 504. Without any none is repeated.
func WithStatuses(statuses ...int) Option {
	return func(s *settings) error {
		s.statuses = make(map[int]bool, len(statuses))
		for _, status := range statuses {
			if status < 400 || status > 599 {
				return fmt.Errorf("retryhttp: statuses: %d is not allowed: want 400 to 599", status)
			}
			s.statuses[status] = true
		}
		return nil
	}
}

// WithRepeatable decides which requests may be executed twice, in place of the default: those
// with an idempotent method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, see RFC 9110, section
// 9.2.2), and those with the header Idempotency-Key or X-Idempotency-Key. As for
// [http.Transport], such a header without values marks a request and is not sent.
//
// A request that may not be executed twice is repeated only if it is certain that it was never
// sent, as there was no connection. f may be called by several goroutines at once.
func WithRepeatable(f func(*http.Request) bool) Option {
	return func(s *settings) error {
		if f == nil {
			return errors.New("retryhttp: repeatable: nil is not allowed: want a function")
		}
		s.repeatable = f
		return nil
	}
}

// WithBufferLimit bounds how many bytes of a body are kept for another attempt. It matters for
// bodies without GetBody that cannot seek; [http.NewRequest] knows those of bytes and strings.
// If more has been read of such a body the request is not repeated. The default is
// [DefaultBufferLimit]; 0 keeps nothing.
func WithBufferLimit(n int64) Option {
	return func(s *settings) error {
		if n < 0 {
			return fmt.Errorf("retryhttp: buffer_limit: %d is not allowed: want 0 or more", n)
		}
		s.bufferLimit = n
		return nil
	}
}

// WithoutSignals keeps from the services below that a request is a repetition: by default a
// repeated request has the header Previous-Attempts with the number of the attempts before it,
// as has the OpenTelemetry baggage under which it is sent.
func WithoutSignals() Option {
	return func(s *settings) error {
		s.silent = true
		return nil
	}
}

// WithIgnoreShouldRetry repeats a request also if the answer has the header X-Should-Retry:
// false, as the service below has made its retries, or if a policy further in, such as that of
// another Transport, has made them. They multiply then.
func WithIgnoreShouldRetry() Option {
	return func(s *settings) error {
		s.ignoreShouldRetry = true
		return nil
	}
}
