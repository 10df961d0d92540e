package generation

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An Error is a failure that a server reports: a status of 400 or more, an error event in a
// stream, or an error in place of what an answer should have. errors.As finds in it the
// *openai.Error or the *ssestream.StreamError with all that the server said, where there is
// one; the text of an Error has none of that but the code, if it is a known one.
//
// These are repeated:
//
//   - the statuses 408, 409 and 429, and those from 500 on, but 501, as by the official client
//   - the codes of a failed generation of Text Generation Inference, whose status is 424
//
// Never repeated, whatever the status, are codes that say that the request or the account
// will not do, such as context_length_exceeded or insufficient_quota. Nor is an answer with
// X-Should-Retry: false: the layers below have made the retries. X-Should-Retry: true changes
// nothing, as what comes in may only lower the number of retries.
type Error struct {
	// Status is the status of the answer, or that which an error within an answer stands for:
	// what its code says, and 500 where that says nothing, as the server had taken the request.
	Status int
	// Code is the code of the error, or its type, if it is one that this package knows, and
	// "" otherwise. What else a server says is not repeated: it may contain secrets.
	Code string

	inside    bool // it came in an answer with the status of a success
	retryable bool
	after     time.Duration
	err       error
}

// Error returns a text such as
//
//	generation: the server answers 429 Too Many Requests (rate_limit_exceeded)
func (e *Error) Error() string {
	text := "generation: the server answers " + strconv.Itoa(e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " " + name
	}
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.inside {
		text += " within an answer that had begun"
	}
	return text
}

// Retryable reports whether the failure may be over at the next attempt.
func (e *Error) Retryable() bool { return e.retryable }

// RetryAfter returns how long the server asked to wait, and whether it did.
func (e *Error) RetryAfter() (time.Duration, bool) { return e.after, e.after > 0 }

// Throttled reports whether the server asked for fewer calls: by the status 429, unless a quota
// is used up, which a lower rate does not fill again; by 503, or by a time to wait.
func (e *Error) Throttled() bool {
	return e.retryable &&
		(e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable || e.after > 0)
}

// ErrorType returns the code, or else the status.
func (e *Error) ErrorType() string {
	if e.Code != "" {
		return e.Code
	}
	return strconv.Itoa(e.Status)
}

// Unwrap returns the official client's error.
func (e *Error) Unwrap() error { return e.err }

// A refusal is a failure that is not to be repeated as the server says that the retries were
// made below.
type refusal struct{ failure *Error }

func (r *refusal) Error() string { return r.failure.Error() + ", and says not to repeat" }

// Refused returns true: no policy repeats it.
func (*refusal) Refused() bool { return true }

// LastFailure returns what policies that judge the server go by.
func (r *refusal) LastFailure() error { return r.failure }

func (r *refusal) Unwrap() error { return r.failure }

// ErrMalformed is in the tree of every error about an answer that makes no sense although its status
// is that of a success: JSON that is none, no choice, a stream without a token, vectors that
// are too few. Such an answer is repeated. A proxy may have given it in place of the server,
// and a model may do better the next time.
var ErrMalformed = errors.New("the answer makes no sense")

// malformed is an error of the kind ErrMalformed.
type malformed struct {
	what string
	err  error // why, or nil
}

func (m *malformed) Error() string {
	text := fmt.Sprintf("generation: %v: %s", ErrMalformed, m.what)
	if m.err != nil {
		text += ": " + m.err.Error()
	}
	return text
}

func (*malformed) Retryable() bool   { return true }
func (*malformed) ErrorType() string { return "malformed_answer" }

func (m *malformed) Unwrap() []error {
	if m.err == nil {
		return []error{ErrMalformed}
	}
	return []error{ErrMalformed, m.err}
}
