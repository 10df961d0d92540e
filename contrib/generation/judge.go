package generation

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/openai/openai-go/v3/packages/ssestream"
)

// A verdict is what a code means, whatever the status of its answer.
type verdict struct {
	status    int // that an error with this code stands for within an answer
	permanent bool
	retryable bool
}

// codes are the codes and types of errors that this package knows: those of OpenAI, and of
// vLLM and Text Generation Inference where they have others. Those without an opinion leave it to
// the status.
var codes = map[string]verdict{
	// The account will not do, though the status is 429. The first is also the type of the others.
	"insufficient_quota":                {status: http.StatusTooManyRequests, permanent: true},
	"credit_balance_exhausted":          {status: http.StatusTooManyRequests, permanent: true},
	"organization_spend_limit_exceeded": {status: http.StatusTooManyRequests, permanent: true},
	"organization_usage_limit_exceeded": {status: http.StatusTooManyRequests, permanent: true},
	"project_spend_limit_exceeded":      {status: http.StatusTooManyRequests, permanent: true},
	"billing_hard_limit_reached":        {status: http.StatusTooManyRequests, permanent: true},
	"billing_not_active":                {status: http.StatusTooManyRequests, permanent: true},
	"account_deactivated":               {status: http.StatusUnauthorized, permanent: true},
	"invalid_api_key":                   {status: http.StatusUnauthorized, permanent: true},

	// The request will not do.
	"context_length_exceeded":  {status: http.StatusBadRequest, permanent: true},
	"string_above_max_length":  {status: http.StatusBadRequest, permanent: true},
	"content_filter":           {status: http.StatusBadRequest, permanent: true},
	"content_policy_violation": {status: http.StatusBadRequest, permanent: true},
	"model_not_found":          {status: http.StatusNotFound, permanent: true},
	"invalid_request_error":    {status: http.StatusBadRequest},
	"BadRequestError":          {status: http.StatusBadRequest},
	"validation":               {status: http.StatusUnprocessableEntity},
	"authentication_error":     {status: http.StatusUnauthorized},
	"permission_error":         {status: http.StatusForbidden},
	"not_found_error":          {status: http.StatusNotFound},
	"NotFoundError":            {status: http.StatusNotFound},

	// Later is better.
	"rate_limit_exceeded":       {status: http.StatusTooManyRequests},
	"rate_limit_error":          {status: http.StatusTooManyRequests},
	"slow_down":                 {status: http.StatusTooManyRequests},
	"overloaded":                {status: http.StatusTooManyRequests},
	"server_is_overloaded":      {status: http.StatusServiceUnavailable},
	"overloaded_error":          {status: http.StatusServiceUnavailable},
	"service_unavailable_error": {status: http.StatusServiceUnavailable},

	// The server failed.
	"server_error":          {status: http.StatusInternalServerError},
	"internal_error":        {status: http.StatusInternalServerError},
	"InternalServerError":   {status: http.StatusInternalServerError},
	"generation":            {status: http.StatusFailedDependency, retryable: true},
	"incomplete_generation": {status: http.StatusInternalServerError, retryable: true},
}

// reported is what the body of an answer, or an event, says of an error.
type reported struct {
	code   string // a known one, or ""
	status int    // 0 if it says none
}

// report reads the error in a JSON text. It reports whether there is one, and the text of that
// alone. These are the forms:
//
//	{"error": {...}}
//	{"error": "...", "error_type": "..."}, of Text Generation Inference
//	{"object": "error", ...}, of SGLang and older versions of vLLM
//	{"type": "error", ...}, in the streams of responses
func report(text []byte) (r reported, said json.RawMessage, ok bool) {
	var answer struct {
		Error  json.RawMessage `json:"error"`
		Of     any             `json:"error_type"`
		Object any             `json:"object"`
		Type   any             `json:"type"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return reported{}, nil, false
	}
	said = answer.Error
	if len(said) == 0 || bytes.Equal(said, []byte("null")) {
		if answer.Object != "error" && answer.Type != "error" {
			return reported{}, nil, false
		}
		said = text
	}
	var failure struct {
		Code any `json:"code"` // a text, a number or null
		Type any `json:"type"`
	}
	_ = json.Unmarshal(said, &failure) // the error may be a text alone
	for _, name := range []any{failure.Code, failure.Type, answer.Of} {
		switch name := name.(type) {
		case float64:
			r.status = errorStatus(name)
		case string:
			if n, err := strconv.ParseFloat(name, 64); err == nil {
				r.status = errorStatus(n)
			} else if v, known := codes[name]; known && r.code == "" {
				r.code, r.status = name, cmp.Or(r.status, v.status)
			}
		}
	}
	return r, said, true
}

// errorStatus returns n if it is the status of an error, and 0 otherwise.
func errorStatus(n float64) int {
	if n < http.StatusBadRequest || n > 599 {
		return 0
	}
	return int(n)
}

// retryableStatus reports whether an answer of that status may be another the next time.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= http.StatusInternalServerError
}

// newError judges a failure of that status and code.
func newError(status int, code string, err error) *Error {
	v := codes[code]
	return &Error{
		Status: status, Code: code, err: err,
		retryable: v.retryable || !v.permanent && retryableStatus(status),
	}
}

// insideError returns the failure that a server reports in an answer, or in an event, that has
// the status of a success.
func insideError(data []byte, err error) *Error {
	r, _, _ := report(data)
	if r.status == 0 {
		r.status = http.StatusInternalServerError // it had taken the request
	}
	failure := newError(r.status, r.code, err)
	failure.inside = true
	return failure
}

// noAnswer is the failure that an answer without content is.
func noAnswer(raw, what string) error {
	if _, _, failed := report([]byte(raw)); failed {
		return insideError([]byte(raw), nil)
	}
	return &malformed{what: what}
}

// streamError is the error that the official client makes of an event with an error.
func streamError(data []byte) error {
	return &ssestream.StreamError{
		Message: "received error while streaming: " + string(data),
		Event:   ssestream.Event{Data: data},
	}
}
