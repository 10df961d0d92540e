package retrygrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Unary is a [grpc.UnaryClientInterceptor].
//
// The error is that of the last attempt, or one of the policy that wraps it. status.FromError
// finds a status in it in any case. Options such as [grpc.Header] are filled from the last
// attempt alone, and [grpc.OnFinish] is called once.
func (c *Client) Unary(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	sorted := sortOptions(opts)
	call := unaryCall{
		client: c, caller: ctx, repeatable: c.repeatable(method, sorted), reply: reply,
		send: func(ctx context.Context, reply any, a *answer) error {
			return invoke(ctx, method, req, reply, cc, sorted.of(a)...)
		},
	}
	err := call.result(do(ctx, c.policyOf(method, sorted), call.attempt))
	if call.answer != nil {
		sorted.fill(call.answer)
	}
	sorted.finish(err)
	return err
}

// unaryCall is one call with its attempts.
type unaryCall struct {
	client     *Client
	caller     context.Context
	repeatable bool
	reply      any
	send       func(ctx context.Context, reply any, a *answer) error

	answer  *answer // of the last attempt
	failure error   // of the last attempt
	told    error   // the failure as the policy was told of it, if that is another error
}

// attempt sends the request once. It is the operation of the policy.
func (u *unaryCall) attempt(ctx context.Context) error {
	if u.answer != nil {
		reset(u.reply)
	}
	u.answer = new(answer)
	err := u.send(u.client.outgoing(ctx), u.reply, u.answer)
	u.failure = u.client.failed(ctx, err, u.answer)
	u.told = nil
	if u.failure == nil || u.repeatable {
		return u.failure
	}
	u.told = final(u.failure)
	return u.told
}

// result returns what the caller gets where the policy returned err.
func (u *unaryCall) result(err error) error {
	switch {
	case err == nil && u.answer == nil:
		return errNotSent
	case err == nil, err == u.told: //nolint:errorlint // the very value: nobody wrapped it
		err = u.failure // no policy can make a success of it: there is no reply
	}
	return outcome(u.caller, err)
}

var errNotSent = status.Error(codes.Internal, "retrygrpc: the policy has neither made the call nor returned an error")

// reset empties the message into which an attempt received that failed, so that nothing of it
// is left under what the next attempt receives.
func reset(message any) {
	switch m := message.(type) {
	case proto.Message:
		proto.Reset(m)
	case interface{ Reset() }: // of other codecs, as far as they have it
		m.Reset()
	}
}
