package retrygrpc

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// The keys of gRFC A6 (client retries), which package grpc leaves to the metadata.
const (
	previousKey = "grpc-previous-rpc-attempts"
	pushbackKey = "grpc-retry-pushback-ms"
)

// outgoing returns the context under which an attempt is sent. A first attempt is sent as it is;
// the metadata of a repeated one is a copy, so that nothing adds up over the attempts.
func (c *Client) outgoing(ctx context.Context) context.Context {
	previous := layers.Previous(ctx)
	if c.silent || previous == 0 {
		return ctx
	}
	ctx = telemetry.WithPreviousAttempts(ctx, previous)
	md, there := metadata.FromOutgoingContext(ctx) // a copy
	if !there {
		md = make(metadata.MD, 1)
	}
	md.Set(previousKey, strconv.Itoa(previous))
	return metadata.NewOutgoingContext(ctx, md)
}
