package vectorstore

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one is like
)

// steadyCodec encodes a message to the same bytes at every attempt: that of gRPC writes the
// entries of a map, such as a payload, in an order of chance.
type steadyCodec struct{ encoding.CodecV2 }

func newSteadyCodec() steadyCodec { return steadyCodec{encoding.GetCodecV2("proto")} }

// Marshal implements [encoding.CodecV2].
func (c steadyCodec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}
