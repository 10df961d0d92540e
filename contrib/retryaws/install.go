package retryaws

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

var errNoConfig = errors.New("retryaws: cfg: nil is not allowed: want an *aws.Config")

// Install makes r the retryer of all clients that are made of cfg from now on. What cfg says
// of retries itself, also by the environment variables AWS_RETRY_MODE and AWS_MAX_ATTEMPTS,
// does not count any more. A RetryMaxAttempts among the options of one client or call still does.
//
// A retryer that is installed later takes the place of an earlier one: for a client with
// rules of its own, install another one on a cfg.Copy().
func (r *Retryer) Install(cfg *aws.Config) error {
	if cfg == nil {
		return errNoConfig
	}
	cfg.Retryer = func() aws.Retryer { return r }
	cfg.RetryMaxAttempts = 0
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), r.AddMiddleware)
	return nil
}

// AddMiddleware adds to the stack of an operation what the retryer needs to know of a call
// besides what the SDK tells it. It is for the APIOptions of clients that are not made of an
// [aws.Config]; their Retryer is to be r too. A stack without retries, as for presigning, stays as it is.
func (r *Retryer) AddMiddleware(stack *middleware.Stack) error {
	if _, retries := stack.Finalize.Get(retryLoop); !retries {
		return nil
	}
	for _, m := range []middleware.FinalizeMiddleware{callMiddleware{}, attemptMiddleware{}} {
		if _, there := stack.Finalize.Get(m.ID()); there {
			if _, err := stack.Finalize.Remove(m.ID()); err != nil {
				return err
			}
		}
	}
	if err := stack.Finalize.Insert(callMiddleware{r}, retryLoop, middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(attemptMiddleware{}, retryLoop, middleware.After)
}

// retryLoop is the SDK's middleware that repeats what stands after it.
const retryLoop = "Retry"

// callMiddleware stands around the SDK's loop: it begins and ends a call.
type callMiddleware struct{ retryer *Retryer }

// ID implements [middleware.FinalizeMiddleware].
func (callMiddleware) ID() string { return "ResilienceCall" }

// HandleFinalize implements [middleware.FinalizeMiddleware].
func (m callMiddleware) HandleFinalize(
	ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
	c := begin(ctx, m.retryer)
	defer c.close()
	out, metadata, err = next.HandleFinalize(middleware.WithStackValue(c.ctx, callKey{}, c), in)
	return out, metadata, c.end(err)
}

// attemptMiddleware stands inside the SDK's loop: it begins and ends an attempt.
type attemptMiddleware struct{}

// ID implements [middleware.FinalizeMiddleware].
func (attemptMiddleware) ID() string { return "ResilienceAttempt" }

// HandleFinalize implements [middleware.FinalizeMiddleware].
func (attemptMiddleware) HandleFinalize(
	ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
	c := callOf(ctx)
	if c == nil {
		return next.HandleFinalize(ctx, in)
	}
	out, metadata, err = next.HandleFinalize(c.beginAttempt(ctx), in)
	return out, metadata, c.endAttempt(err)
}

// callKey is the key of a call in the stack values of a context. The SDK clears these where
// an operation calls another, as for credentials, so that each has its own.
type callKey struct{}

// callOf returns the call that ctx belongs to, or nil without the middleware.
func callOf(ctx context.Context) *call {
	c, _ := middleware.GetStackValue(ctx, callKey{}).(*call)
	return c
}
