package generation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// attempts make single attempts, as a middleware of the official client: what a policy needs
// to know of an answer becomes an error, and what may still fail in a body does so within
// the attempt. They repeat nothing.
type attempts struct {
	idle           time.Duration // 0: no bound
	ignoreRefusals bool
}

// retryCount is the header in which the official client tells its own retries. It is kept
// right unless a user has taken it out.
const retryCount = "X-Stainless-Retry-Count"

// send sends a request, which it may change, and returns an answer that is a success.
func (a attempts) send(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	caller := req.Context()
	ctx, cancel := resilience.Retain(caller) // a stream lives longer than its attempt
	if n := layers.Previous(ctx); n > 0 {
		ctx = telemetry.WithPreviousAttempts(ctx, n)
		req.Header.Set(layers.PreviousAttempts, strconv.Itoa(n))
		if req.Header.Get(retryCount) != "" {
			req.Header.Set(retryCount, strconv.Itoa(n))
		}
	}
	res, err := next(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, transportError(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		defer cancel()
		return nil, a.failure(caller, req, res)
	}
	if res, err = a.open(req, res, cancel); err == nil {
		note(caller)
	}
	return res, err
}

// open reads as much of the answer to a request as tells whether the attempt has succeeded.
func (a attempts) open(req *http.Request, res *http.Response, cancel context.CancelFunc) (*http.Response, error) {
	kind := mediaType(res.Header.Get("Content-Type"))
	switch {
	case kind == "text/event-stream" || asksForStream(req.Context()):
		return a.stream(req, res, cancel)
	case res.StatusCode == http.StatusNoContent: // whatever type it has
	case isJSON(kind) && mediaType(req.Header.Get("Accept")) == "application/json":
		defer cancel()
		return whole(res)
	}
	res.Body = &retained{res.Body, cancel}
	return res, nil
}

// answeredKey is the context key of a bool that is set when an attempt has an answer. What
// fails after that is the answer's fault.
type answeredKey struct{}

func note(ctx context.Context) {
	if answered, ok := ctx.Value(answeredKey{}).(*bool); ok {
		*answered = true
	}
}

// maxErrorBody bounds how much of the body of a failure is read.
const maxErrorBody = 1 << 20

// failure returns the error that an answer of a status of 400 or more is. It is made here, as
// the official client makes an *openai.Error only of bodies that have the form of OpenAI's.
func (a attempts) failure(ctx context.Context, req *http.Request, res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // the status alone says enough
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body)) // for DumpResponse
	failed := &openai.Error{}
	said, text, _ := report(body)
	if bytes.HasPrefix(text, []byte("{")) && failed.UnmarshalJSON(text) != nil {
		failed = &openai.Error{}
	}
	failed.StatusCode, failed.Request, failed.Response = res.StatusCode, req, res

	failure := newError(res.StatusCode, said.code, failed)
	if failure.retryable {
		failure.after = pushback(res.Header)
		if !a.ignoreRefusals && layers.Refuses(res.Header.Values) {
			resilience.NoteGaveUp(ctx)
			return &refusal{failure}
		}
	}
	return failure
}

// whole reads the body of an answer within the attempt, so that one that breaks off or is no JSON is a
// failure of the attempt. The official client would read it all the same.
func whole(res *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, transportError(err)
	}
	if !json.Valid(body) {
		return nil, &malformed{what: "the body is no JSON"}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// transportError marks failures of connections that net/http tells by a text alone, such as
// those of HTTP/2. For all others the types of the errors speak.
func transportError(err error) error {
	if resilience.Classify(err) != resilience.ClassUnknown {
		return err
	}
	text := err.Error()
	for _, transient := range []string{
		"http2: ", "stream error: ", "transport connection broken", "server closed idle connection", "malformed HTTP ",
	} {
		if strings.Contains(text, transient) {
			return resilience.Retryable(err)
		}
	}
	return err
}

// mediaType returns the media type that the value of a header names, or "".
func mediaType(value string) string {
	parsed, _, err := mime.ParseMediaType(value)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return parsed
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// retained is a body whose request is cancelled when it is closed.
type retained struct {
	io.ReadCloser

	cancel context.CancelFunc
}

func (r *retained) Close() error {
	err := r.ReadCloser.Close()
	r.cancel()
	return err
}
