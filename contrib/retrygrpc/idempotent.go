package retrygrpc

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Idempotent reports whether the definition of a method says that it may be executed twice, by
//
//	option idempotency_level = NO_SIDE_EFFECTS; // or IDEMPOTENT
//
// It is for [WithMethods], and knows the services whose generated code the program imports. Of a
// method that says nothing, or that it does not know, it returns false.
func Idempotent(fullMethod string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return false
	}
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
