package retryredis

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/observable-go/toolkit/resilience"
)

// hook runs commands under a policy. The hook itself is the key under which a context says
// that it belongs to an attempt: what is sent within one, to set up a connection or by the
// nodes of a cluster, is part of that.
type hook struct {
	policy     resilience.Policy
	idempotent func(redis.Cmder) bool
}

var _ redis.Hook = (*hook)(nil)

// DialHook implements [redis.Hook].
func (*hook) DialHook(next redis.DialHook) redis.DialHook { return dial(next) }

// dial marks the errors of next.
func dial(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, &dialError{err}
		}
		return conn, nil
	}
}

// ProcessHook implements [redis.Hook].
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		cmds := []redis.Cmder{cmd}
		if h.attemptOf(ctx) != nil || areSetups(cmds) {
			return next(ctx, cmd)
		}
		return h.do(ctx, cmds, func(ctx context.Context) (answer, failed error) {
			err := next(ctx, cmd)
			return err, h.judge(err, cmd)
		})
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if h.attemptOf(ctx) != nil || areSetups(cmds) {
			return next(ctx, cmds)
		}
		sent := false
		err := h.do(ctx, cmds, func(ctx context.Context) (answer, failed error) {
			sent = true
			err := next(ctx, cmds)
			return err, h.judgePipeline(err, cmds)
		})
		if !sent { // a policy refused, which each command has to say
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// do runs op under the policy, and returns what the caller gets. The answer that op returns is
// that of go-redis, and failed is what the policy is told of it. Before op is repeated the
// commands lose the errors that they had.
func (h *hook) do(ctx context.Context, cmds []redis.Cmder, op func(context.Context) (answer, failed error)) error {
	var answer error
	repeated := false
	attempt := func(ctx context.Context) (err error) {
		if repeated {
			for _, cmd := range cmds {
				cmd.SetErr(nil)
			}
		}
		repeated = true
		answer, err = op(context.WithValue(ctx, h, &attempt{}))
		return err
	}
	var err error
	if h.policy == nil {
		err = attempt(ctx)
	} else {
		err = h.policy.Do(ctx, attempt)
	}
	if isAnswer(err) {
		return answer // as it is, since it is compared by == everywhere
	}
	return err
}

// judge returns the error of a command in words that policies understand, nil if there is
// nothing to complain about.
func (h *hook) judge(err error, cmd redis.Cmder) error {
	switch kindOf(err) {
	case executed:
		return nil
	case unexecuted:
		return &failure{err, true}
	case answered:
		return &failure{err, false}
	default:
	}
	failed := &failure{err, isConnection(err)}
	if h.mayRepeat(cmd) {
		return failed
	}
	return &uncertain{failed}
}

// mayRepeat reports whether cmd may be executed twice.
func (h *hook) mayRepeat(cmd redis.Cmder) bool {
	return !cmd.NoRetry() && h.idempotent(cmd)
}
