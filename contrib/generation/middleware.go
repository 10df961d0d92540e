package generation

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/resilience"
)

// Options puts every request of an official client under a policy, whatever part of the API
// it is for:
//
//	client := openai.NewClient(generation.Options(policy)...)
//
// The client's own retries, of which there are 2 by default, are switched off: three attempts
// of a policy around three of the client would be nine. The policy has their place. It stands
// around the HTTP exchange, as a middleware, as that is all that the parts of the API have in
// common; a [Client] has its policy around the whole call, so that an answer without a choice is a
// failed attempt too. Here an attempt goes as far as the answer can be read without knowing what
// it means: a body of JSON to its end, a stream to its first event. A completion that is streamed
// and ends without the mark of its end is an error of its stream.
//
// Failures are as told at [Error]. Middlewares that stand after these options see every
// attempt, those before them only the call. A body from a reader that cannot be read twice is sent
// once. A nil policy is none. A server's X-Should-Retry: false is obeyed; where it should not be, a
// middleware after these options takes the header out of the answer.
func Options(policy resilience.Policy) []option.RequestOption {
	return under(policy, attempts{})
}

func under(policy resilience.Policy, a attempts) []option.RequestOption {
	return []option.RequestOption{
		option.WithMaxRetries(0),
		option.WithMiddleware(func(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			return repeat(policy, a, req, next)
		}),
	}
}

// repeat makes the attempts of a request under a policy.
func repeat(policy resilience.Policy, a attempts, req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	ctx := req.Context()
	renew, again, err := replay(req)
	if err != nil {
		return nil, resilience.Permanent(err)
	}
	if !again {
		ctx = resilience.NoRetry(ctx)
	}
	streams := wantsStream(req)
	res, err := resilience.DoValue(ctx, policy, func(ctx context.Context) (*http.Response, error) {
		attempt := req.Clone(ctx)
		renew(attempt)
		if streams {
			attempt = attempt.WithContext(withStream(ctx))
		}
		return a.send(attempt, next)
	})
	if err != nil {
		if res != nil {
			_ = res.Body.Close() // the policy failed after a success
		}
		return nil, err
	}
	return res, nil
}

// wantsStream reports whether the body of a request asks for the stream of a completion.
func wantsStream(req *http.Request) bool {
	if !endsMarked(req) || req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return false
	}
	defer func() { _ = body.Close() }()
	var asks struct {
		Stream bool `json:"stream"`
	}
	return json.NewDecoder(body).Decode(&asks) == nil && asks.Stream
}

// replay takes the body of a request into memory and returns what gives it to an attempt, and
// whether there may be more than one: a body of which there is no second copy is left as it is. A
// body that seeks, as some do of which there is one, cannot be shared: the transport may still
// read that of an attempt that has failed.
func replay(req *http.Request) (renew func(*http.Request), again bool, err error) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody == nil {
		return func(*http.Request) {}, req.Body == nil || req.Body == http.NoBody, nil
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, false, err
	}
	return func(attempt *http.Request) {
		attempt.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		attempt.Body, _ = attempt.GetBody()
	}, true, nil
}
