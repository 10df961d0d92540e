package retryredis

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// An Option changes how a client is instrumented.
type Option func(*settings) error

type settings struct {
	idempotent func(redis.Cmder) bool
}

// WithIdempotent asks f in place of [Idempotent] which commands may be executed twice. It is
// for services that know more of their commands:
//
//	retryredis.WithIdempotent(func(cmd redis.Cmder) bool {
//		return retryredis.Idempotent(cmd) || cmd.Name() == "sadd"
//	})
//
// A transaction is repeated after its EXEC was sent if f allows "exec" and every command in
// it. In a pipeline, what only f allows counts as a write: see [Idempotent]. f must be safe
// for use by several goroutines at once, and must not ask a command for its result.
func WithIdempotent(f func(cmd redis.Cmder) bool) Option {
	return func(s *settings) error {
		s.idempotent = f
		if f == nil {
			return errors.New("idempotent: nil is not allowed: want a function")
		}
		return nil
	}
}
