package retryhttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/layers"
	"github.com/observable-go/toolkit/resilience"
)

// transient holds the statuses that may be over at the next attempt.
var transient = map[int]bool{
	http.StatusRequestTimeout:      true,
	http.StatusTooEarly:            true,
	http.StatusTooManyRequests:     true,
	http.StatusInternalServerError: true,
	http.StatusBadGateway:          true,
	http.StatusServiceUnavailable:  true,
	http.StatusGatewayTimeout:      true,
}

// A StatusError is what a policy is told of an answer that reports a failure: of the statuses
// 408, 425, 429, those from 500 on, and those of [WithStatuses]. Other answers are successes to
// a policy, as the server did its part. Callers of an [http.Client] get the answer, and a
// StatusError only within the error of a call that ended otherwise.
type StatusError struct {
	StatusCode int
	Header     http.Header // of the answer; it must not be changed

	retryable bool
	after     time.Duration
}

// statusError returns the failure that an answer reports, or nil.
func (t *Transport) statusError(answer *http.Response) *StatusError {
	code := answer.StatusCode
	if code < http.StatusInternalServerError && !transient[code] && !t.statuses[code] {
		return nil
	}
	return &StatusError{
		StatusCode: code,
		Header:     answer.Header,
		retryable:  transient[code] || t.statuses[code],
		after:      pushback(code, answer.Header, func() time.Time { return clock.Now(nil) }),
	}
}

// Error returns the status and its text, as in "503 Service Unavailable".
func (e *StatusError) Error() string {
	return strings.TrimSpace(strconv.Itoa(e.StatusCode) + " " + http.StatusText(e.StatusCode))
}

// ErrorType returns the status, as OpenTelemetry's conventions for HTTP have it.
func (e *StatusError) ErrorType() string { return strconv.Itoa(e.StatusCode) }

// Retryable reports whether the failure may pass.
func (e *StatusError) Retryable() bool { return e.retryable }

// RetryAfter returns how long the server asked to wait, if it did: by Retry-After (RFC 9110,
// section 10.2.3), or else by its rate limit's fields.
func (e *StatusError) RetryAfter() (time.Duration, bool) { return e.after, e.after > 0 }

// Throttled reports whether the server asked for fewer requests.
func (e *StatusError) Throttled() bool {
	return e.StatusCode == http.StatusTooManyRequests || e.after > 0
}

// final marks a failure as one that must not be repeated, although it may pass: policies that
// judge the server take it for what it is. why is shown, if there is something to say.
func final(failure error, why string) error {
	return resilience.Permanent(&unrepeatable{failure: failure, why: why})
}

type unrepeatable struct {
	failure error
	why     string
}

func (e *unrepeatable) Error() string {
	if e.why == "" {
		return e.failure.Error()
	}
	return e.failure.Error() + " (" + e.why + ")"
}

func (e *unrepeatable) Unwrap() error      { return e.failure }
func (e *unrepeatable) LastFailure() error { return e.failure }
func (e *unrepeatable) ErrorType() string  { return resilience.ErrorType(e.failure) }

// A refusal is a failure after retries that were made in vain, by the server or by a policy further in.
type refusal struct{ failure error }

func (e *refusal) Error() string      { return e.failure.Error() + " (the retries were made further in)" }
func (e *refusal) Unwrap() error      { return e.failure }
func (e *refusal) LastFailure() error { return e.failure }
func (e *refusal) ErrorType() string  { return resilience.ErrorType(e.failure) }
func (*refusal) Refused() bool        { return true }

// refuses reports whether an answer asks not to repeat the request.
func refuses(h http.Header) bool {
	_, envoy := h["X-Envoy-Ratelimited"]
	return envoy || layers.Refuses(h.Values)
}

// classified returns err with the class that errors of package net/http do not tell.
func classified(err error) error {
	text := err.Error()
	switch {
	case hasOneOf(text, permanentTexts), isPermanent(err):
		return resilience.Permanent(err)
	case has[textproto.ProtocolError](err):
		return &hungUpError{err, "malformed_header"} // which is what one that breaks off looks like
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), hasOneOf(text, hungUpTexts):
		return &hungUpError{err, "unexpected_eof"}
	}
	return err
}

// hungUpError is the end of a connection before there was an answer. It may also show as a write to
// a connection that package net/http has closed itself, having seen the end when it read.
type hungUpError struct {
	err  error
	kind string
}

func (e *hungUpError) Error() string     { return e.err.Error() }
func (e *hungUpError) Unwrap() error     { return e.err }
func (*hungUpError) Retryable() bool     { return true }
func (e *hungUpError) ErrorType() string { return e.kind }

// isPermanent reports whether err is of a type that the next attempt would meet again: what
// is wrong with a certificate or with the handshake is wrong with the configuration.
func isPermanent(err error) bool {
	return has[*tls.CertificateVerificationError](err) || has[x509.UnknownAuthorityError](err) ||
		has[x509.HostnameError](err) || has[x509.CertificateInvalidError](err) ||
		has[tls.RecordHeaderError](err) || has[tls.AlertError](err) || isAlert(err) ||
		errors.Is(err, http.ErrSchemeMismatch)
}

// isAlert reports whether err is a TLS alert of the server, as that it speaks no version in
// common. That of an internal error may pass.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && !strings.HasSuffix(op.Err.Error(), "internal error")
}

func has[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

// The errors below are of types that package net/http does not export.

// permanentTexts are in the errors of requests that cannot be sent.
var permanentTexts = []string{
	"unsupported protocol scheme",
	"http: nil Request.URL",
	"http: nil Request.Header",
	"http: no Host in request URL",
	"net/http: invalid header",
	"net/http: invalid trailer",
	"net/http: invalid method",
	"http: ContentLength=",         // with a body of another length
	"http: Request.ContentLength=", // with none
	"http2: request body larger than specified content length",
}

// hungUpTexts are in the errors of connections that ended.
var hungUpTexts = []string{
	"http: server closed idle connection",
	"http2: client connection lost",
	"http2: server sent GOAWAY",
	"http2: Transport received Server's graceful shutdown GOAWAY",
	"http2: client conn not usable",
	"http2: client conn is closed",
	"http2: client conn could not be established",
	"stream error: stream ID", // the server reset the stream
}

func hasOneOf(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
