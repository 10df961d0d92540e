package retryredis

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// attempt is one attempt of a command or pipeline. A cluster client has a loop of its own,
// bounded by MaxRedirects, in which it follows redirects but also repeats what failed. Its
// nodes note in the attempt what failed, and do not send that again within the attempt: that is
// for the policy to do.
type attempt struct {
	mu     sync.Mutex
	failed error                 // of a command that is no part of a pipeline
	cmds   map[redis.Cmder]error // of a pipeline that failed
}

// attemptOf returns the attempt that ctx belongs to, or nil.
func (h *hook) attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(h).(*attempt)
	return a
}

// nodeHook is the hook of the nodes of a cluster. What is no part of an attempt, as in a Watch,
// which a cluster hands to a node, is sent as it is without the hook; only a policy around that
// must know what not to repeat.
type nodeHook struct{ hook *hook }

var _ redis.Hook = (*nodeHook)(nil)

// DialHook implements [redis.Hook].
func (*nodeHook) DialHook(next redis.DialHook) redis.DialHook { return dial(next) }

// ProcessHook implements [redis.Hook].
func (n *nodeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if areSetups([]redis.Cmder{cmd}) {
			return next(ctx, cmd)
		}
		a := n.hook.attemptOf(ctx)
		if a == nil {
			err := next(ctx, cmd)
			return refusalOr(err, n.hook.judge(err, cmd))
		}
		if err := a.failure(nil); err != nil {
			return err
		}
		err := next(ctx, cmd)
		if endsAttempt(err) {
			a.note(err, nil)
		}
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (n *nodeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if areSetups(cmds) {
			return next(ctx, cmds)
		}
		a := n.hook.attemptOf(ctx)
		if a == nil {
			err := next(ctx, cmds)
			return refusalOr(err, n.hook.judgePipeline(err, cmds))
		}
		if err := a.failure(cmds); err != nil {
			return err
		}
		err := next(ctx, cmds)
		if endsAttempt(err) {
			a.note(err, cmds)
		}
		return err
	}
}

// refusalOr returns failed if it is the refusal to repeat what answer may hide, or answer.
func refusalOr(answer, failed error) error {
	if _, refused := errors.AsType[*uncertain](failed); refused {
		return failed
	}
	return answer
}

// endsAttempt reports whether err is a failure that a cluster client would repeat a command
// after, and none that tells it where to send the command.
func endsAttempt(err error) bool {
	if isRouting(err) {
		return false
	}
	kind := kindOf(err)
	return kind == unexecuted || kind == lost
}

// note notes that the commands failed, all of a command if they are nil.
func (a *attempt) note(err error, cmds []redis.Cmder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cmds == nil {
		a.failed = err
		return
	}
	if a.cmds == nil {
		a.cmds = make(map[redis.Cmder]error, len(cmds))
	}
	for _, cmd := range cmds {
		a.cmds[cmd] = err
	}
}

// failure returns what note was told of the commands, or nil.
func (a *attempt) failure(cmds []redis.Cmder) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cmds == nil {
		return a.failed
	}
	for _, cmd := range cmds {
		if err := a.cmds[cmd]; err != nil {
			return err
		}
	}
	return nil
}
