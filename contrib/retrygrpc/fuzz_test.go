package retrygrpc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/observable-go/toolkit/contrib/retrygrpc"
)

// isBounded fails for what a policy could not wait for.
func isBounded(t *testing.T, d time.Duration) {
	t.Helper()
	assert.GreaterOrEqual(t, d, time.Duration(0))
	assert.LessOrEqual(t, d, 365*24*time.Hour)
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "0", "12", "-1", "1.5", "NaN", "1e309", " 7 ", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "٣"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		isBounded(t, retrygrpc.RetryAfter(value))
		isBounded(t, retrygrpc.PushbackMillis(value))
	})
}

func FuzzRetryInfo(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x0a\x02\x08\x05"))
	f.Add([]byte("\x0a\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		detail := &anypb.Any{TypeUrl: "type.googleapis.com/google.rpc.RetryInfo", Value: raw}
		isBounded(t, retrygrpc.RetryInfo(status.FromProto(&spb.Status{Code: int32(codes.Unavailable), Details: []*anypb.Any{detail, nil}})))
	})
}
