package retrygrpc

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/observable-go/toolkit/resilience"
)

// CallPolicy runs one call under p in place of the policies of its [Client], whatever
// [WithMethods] says of its method. A nil p runs it once, without any policy; for a call that is
// merely not to be repeated give it a context from [resilience.NoRetry]. Where no Client
// intercepts the call it does nothing.
func CallPolicy(p resilience.Policy) grpc.CallOption { return callPolicy{policy: p} }

type callPolicy struct {
	grpc.EmptyCallOption

	policy resilience.Policy
}

// callOptions are the options of a call, sorted: what an attempt is called with, and what is
// told once a call and not by each of its attempts.
type callOptions struct {
	policy    resilience.Policy
	overrides bool // the policy is that of the call, also if it is nil

	attempt  []grpc.CallOption
	headers  []*metadata.MD
	trailers []*metadata.MD
	peers    []*peer.Peer
	onFinish []func(error)
}

func sortOptions(opts []grpc.CallOption) *callOptions {
	sorted := &callOptions{attempt: make([]grpc.CallOption, 0, len(opts))}
	for _, opt := range opts {
		switch opt := opt.(type) {
		case callPolicy:
			sorted.policy, sorted.overrides = opt.policy, true
		case grpc.HeaderCallOption:
			sorted.headers = append(sorted.headers, opt.HeaderAddr)
		case grpc.TrailerCallOption:
			sorted.trailers = append(sorted.trailers, opt.TrailerAddr)
		case grpc.PeerCallOption:
			sorted.peers = append(sorted.peers, opt.PeerAddr)
		case grpc.OnFinishCallOption:
			sorted.onFinish = append(sorted.onFinish, opt.OnFinish)
		default:
			sorted.attempt = append(sorted.attempt, opt)
		}
	}
	return sorted
}

// answer is what package grpc tells of an attempt beside its messages and its status.
type answer struct {
	header  metadata.MD
	trailer metadata.MD
	peer    peer.Peer
}

// of returns the options of an attempt that tells a of its answer. Package grpc may still use
// them when the next attempt is made, so each has a slice of its own.
func (o *callOptions) of(a *answer) []grpc.CallOption {
	opts := make([]grpc.CallOption, 0, len(o.attempt)+4)
	opts = append(append(opts, o.attempt...), grpc.Header(&a.header), grpc.Trailer(&a.trailer))
	if len(o.peers) > 0 {
		opts = append(opts, grpc.Peer(&a.peer))
	}
	return opts
}

// fill hands the answer of the last attempt to the caller's own options.
func (o *callOptions) fill(a *answer) {
	for _, addr := range o.headers {
		*addr = a.header
	}
	for _, addr := range o.trailers {
		*addr = a.trailer
	}
	for _, addr := range o.peers {
		*addr = a.peer
	}
}

// finish tells the caller's hooks how the call ended.
func (o *callOptions) finish(err error) {
	for _, f := range o.onFinish {
		f(err)
	}
}
