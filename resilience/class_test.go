package resilience_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience"
)

var errPlain = errors.New("plain")

// speaker is an error with every method by which errors speak for themselves.
type speaker struct {
	retryable bool
	after     time.Duration
	kind      string
	wrapped   error
}

func (e *speaker) Error() string                     { return "speaker" }
func (e *speaker) Retryable() bool                   { return e.retryable }
func (e *speaker) RetryAfter() (time.Duration, bool) { return e.after, e.after != 0 }
func (e *speaker) ErrorType() string                 { return e.kind }
func (e *speaker) Unwrap() error                     { return e.wrapped }

// pusher says when to come back, and nothing else.
type pusher time.Duration

func (e pusher) Error() string                     { return "later" }
func (e pusher) RetryAfter() (time.Duration, bool) { return time.Duration(e), e != 0 }

// refuser says whether it is a refusal.
type refuser bool

func (refuser) Error() string   { return "refuser" }
func (r refuser) Refused() bool { return bool(r) }

// bomb panics in every method that one might call on an error.
type bomb struct{}

func (bomb) Error() string                     { panic("Error") }
func (bomb) Retryable() bool                   { panic("Retryable") }
func (bomb) RetryAfter() (time.Duration, bool) { panic("RetryAfter") }
func (bomb) ErrorType() string                 { panic("ErrorType") }
func (bomb) Timeout() bool                     { panic("Timeout") }
func (bomb) Is(error) bool                     { panic("Is") }
func (bomb) As(any) bool                       { panic("As") }
func (bomb) Unwrap() error                     { panic("Unwrap") }

// ouroboros wraps itself.
type ouroboros struct{ _ int }

func (e *ouroboros) Error() string { return "ouroboros" }
func (e *ouroboros) Unwrap() error { return e }

type hydra struct{}

func (e *hydra) Error() string   { return "hydra" }
func (e *hydra) Unwrap() []error { return []error{e, e, e} }

// uncomparable panics when compared with one of its kind.
type uncomparable struct{ parts []string }

func (e uncomparable) Error() string { return strings.Join(e.parts, " ") }

func TestClassify(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want resilience.Class
	}{
		"nil":                            {nil, resilience.ClassUnknown},
		"refused by its word":            {fmt.Errorf("x: %w", refuser(true)), resilience.ClassRefused},
		"not refused by its word":        {refuser(false), resilience.ClassUnknown},
		"plain":                          {errPlain, resilience.ClassUnknown},
		"wrapped plain":                  {fmt.Errorf("x: %w", errPlain), resilience.ClassUnknown},
		"retryable":                      {resilience.Retryable(errPlain), resilience.ClassRetryable},
		"permanent":                      {resilience.Permanent(errPlain), resilience.ClassPermanent},
		"refused":                        {resilience.Refused(errPlain), resilience.ClassRefused},
		"retry after":                    {resilience.RetryAfter(errPlain, time.Second), resilience.ClassRetryable},
		"retry after the past":           {resilience.RetryAfter(errPlain, -time.Second), resilience.ClassRetryable},
		"wrapped mark":                   {fmt.Errorf("x: %w", resilience.Permanent(errPlain)), resilience.ClassPermanent},
		"permanent below retryable":      {resilience.Retryable(resilience.Permanent(errPlain)), resilience.ClassPermanent},
		"refused below permanent":        {resilience.Permanent(resilience.Refused(errPlain)), resilience.ClassRefused},
		"refused below retry after":      {resilience.RetryAfter(resilience.Refused(errPlain), 1), resilience.ClassRefused},
		"permanent over a transient":     {resilience.Permanent(syscall.ECONNRESET), resilience.ClassPermanent},
		"own word yes":                   {&speaker{retryable: true}, resilience.ClassRetryable},
		"own word no":                    {&speaker{}, resilience.ClassPermanent},
		"own word no over a transient":   {&speaker{wrapped: syscall.ECONNRESET}, resilience.ClassPermanent},
		"own word of the outer first":    {&speaker{wrapped: &speaker{retryable: true}}, resilience.ClassPermanent},
		"own word of pushback alone":     {pusher(time.Second), resilience.ClassRetryable},
		"no pushback, no word":           {pusher(0), resilience.ClassUnknown},
		"joined: strictest wins":         {errors.Join(resilience.Retryable(errPlain), &speaker{}), resilience.ClassPermanent},
		"joined: refused wins":           {errors.Join(resilience.Permanent(errPlain), resilience.Refused(errPlain)), resilience.ClassRefused},
		"joined: no opinion is no veto":  {fmt.Errorf("%w: %w", errPlain, syscall.ECONNREFUSED), resilience.ClassRetryable},
		"joined: deep":                   {errors.Join(errPlain, fmt.Errorf("a: %w", errors.Join(errPlain, resilience.Permanent(errPlain)))), resilience.ClassPermanent},
		"refused connection":             {syscall.ECONNREFUSED, resilience.ClassRetryable},
		"reset connection":               {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, resilience.ClassRetryable},
		"broken pipe":                    {syscall.EPIPE, resilience.ClassRetryable},
		"aborted connection":             {syscall.ECONNABORTED, resilience.ClassRetryable},
		"unreachable host":               {syscall.EHOSTUNREACH, resilience.ClassRetryable},
		"unreachable network":            {syscall.ENETUNREACH, resilience.ClassRetryable},
		"timeout of the system":          {syscall.ETIMEDOUT, resilience.ClassRetryable},
		"unexpected EOF":                 {io.ErrUnexpectedEOF, resilience.ClassRetryable},
		"EOF":                            {io.EOF, resilience.ClassUnknown},
		"EOF of a server that hung up":   {&url.Error{Op: "Post", URL: "http://x", Err: io.EOF}, resilience.ClassRetryable},
		"deadline":                       {context.DeadlineExceeded, resilience.ClassRetryable},
		"deadline of a file":             {os.ErrDeadlineExceeded, resilience.ClassRetryable},
		"deadline in a URL error":        {&url.Error{Op: "Get", URL: "http://x", Err: context.DeadlineExceeded}, resilience.ClassRetryable},
		"cancelled":                      {context.Canceled, resilience.ClassPermanent},
		"cancelled in a URL error":       {&url.Error{Op: "Get", URL: "http://x", Err: context.Canceled}, resilience.ClassPermanent},
		"temporary DNS":                  {&net.DNSError{IsTemporary: true}, resilience.ClassRetryable},
		"DNS timeout":                    {&net.DNSError{IsTimeout: true}, resilience.ClassRetryable},
		"no such host":                   {&net.DNSError{IsNotFound: true}, resilience.ClassUnknown},
		"no such file":                   {os.ErrNotExist, resilience.ClassUnknown},
		"no such process":                {syscall.ESRCH, resilience.ClassUnknown},
		"all methods panic":              {bomb{}, resilience.ClassUnknown},
		"panics beside a mark":           {errors.Join(bomb{}, resilience.Refused(errPlain)), resilience.ClassRefused},
		"panics above a mark":            {resilience.Retryable(bomb{}), resilience.ClassRetryable},
		"wraps itself":                   {&ouroboros{}, resilience.ClassUnknown},
		"wraps itself threefold":         {&hydra{}, resilience.ClassUnknown},
		"cannot be compared":             {uncomparable{[]string{"a"}}, resilience.ClassUnknown},
		"a nil pointer that is an error": {(*speaker)(nil), resilience.ClassUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, resilience.Classify(tt.err))
		})
	}
}

func TestMarksAreTransparent(t *testing.T) {
	t.Parallel()
	for name, mark := range map[string]func(error) error{
		"Retryable":  resilience.Retryable,
		"Permanent":  resilience.Permanent,
		"Refused":    resilience.Refused,
		"RetryAfter": func(err error) error { return resilience.RetryAfter(err, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, mark(nil))
			err := mark(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
			assert.Equal(t, "dial: connection refused", err.Error())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
		})
	}
}

func TestRulesOrderOfAuthority(t *testing.T) {
	t.Parallel()
	is := func(c resilience.Class) resilience.Classifier {
		return func(error) resilience.Class { return c }
	}
	match := []resilience.Matcher{func(error) bool { return true }}
	type rules = resilience.Rules
	for name, tt := range map[string]struct {
		rules rules
		err   error
		want  resilience.Class
	}{
		"refused over all": {
			rules{Retryable: match, Classifier: is(resilience.ClassRetryable), Unknown: resilience.ClassRetryable},
			resilience.Refused(errPlain), resilience.ClassRefused,
		},
		"a permanent mark over all": {
			rules{Retryable: match, Classifier: is(resilience.ClassRetryable)},
			resilience.Permanent(errPlain), resilience.ClassPermanent,
		},
		"Permanent over Classifier": {
			rules{Permanent: match, Classifier: is(resilience.ClassRetryable)}, errPlain, resilience.ClassPermanent,
		},
		"Permanent over a retryable mark": {
			rules{Permanent: match}, resilience.Retryable(errPlain), resilience.ClassPermanent,
		},
		"Classifier over Retryable": {
			rules{Classifier: is(resilience.ClassPermanent), Retryable: match}, errPlain, resilience.ClassPermanent,
		},
		"Classifier over the own word": {
			rules{Classifier: is(resilience.ClassRetryable)}, &speaker{}, resilience.ClassRetryable,
		},
		"Classifier without an opinion": {
			rules{Classifier: is(resilience.ClassUnknown), Retryable: match}, errPlain, resilience.ClassRetryable,
		},
		"Retryable over the own word": {
			rules{Retryable: match}, &speaker{}, resilience.ClassRetryable,
		},
		"Retryable over what is known": {
			rules{Retryable: match}, context.Canceled, resilience.ClassRetryable,
		},
		"own word over what is known": {
			rules{}, &speaker{wrapped: syscall.EPIPE}, resilience.ClassPermanent,
		},
		"WithoutKnown":              {rules{WithoutKnown: true}, syscall.EPIPE, resilience.ClassUnknown},
		"WithoutKnown, own word":    {rules{WithoutKnown: true}, resilience.Retryable(syscall.EPIPE), resilience.ClassRetryable},
		"Unknown":                   {rules{Unknown: resilience.ClassRetryable}, errPlain, resilience.ClassRetryable},
		"Unknown is not for nil":    {rules{Unknown: resilience.ClassRetryable}, nil, resilience.ClassUnknown},
		"Unknown, yet known":        {rules{Unknown: resilience.ClassRetryable}, context.Canceled, resilience.ClassPermanent},
		"known over Unknown":        {rules{Unknown: resilience.ClassPermanent}, syscall.EPIPE, resilience.ClassRetryable},
		"Unknown for what is a bug": {rules{Unknown: resilience.ClassPermanent}, bomb{}, resilience.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.rules.Classify(tt.err))
		})
	}
}

func TestClassifierPanicGoesUp(t *testing.T) {
	t.Parallel()
	r := resilience.Rules{Classifier: func(error) resilience.Class { panic("a bug") }}
	assert.PanicsWithValue(t, "a bug", func() { r.Classify(errPlain) })
}

// Is and As must find what the standard library finds.
func TestMatchersAgreeWithErrors(t *testing.T) {
	t.Parallel()
	tree := errors.Join(errPlain, fmt.Errorf("a: %w", &net.OpError{Op: "dial", Err: &speaker{wrapped: syscall.EPIPE}}), uncomparable{})
	for _, target := range []error{errPlain, syscall.EPIPE, io.EOF, os.ErrNotExist, context.Canceled} {
		assert.Equal(t, errors.Is(tree, target), resilience.MatchIs(target)(tree), target)
		assert.Equal(t, errors.Is(target, target), resilience.MatchIs(target)(target), target)
	}
	assert.True(t, resilience.MatchAs[*net.OpError]()(tree))
	assert.True(t, resilience.MatchAs[*speaker]()(tree))
	assert.True(t, resilience.MatchAs[syscall.Errno]()(tree))
	assert.True(t, resilience.MatchAs[net.Error]()(tree))
	assert.False(t, resilience.MatchAs[*json.SyntaxError]()(tree))
	assert.True(t, resilience.MatchIs(os.ErrPermission)(syscall.EACCES), "by the method Is")
	assert.True(t, resilience.MatchAs[*os.PathError]()(asPathError{}), "by the method As")

	assert.False(t, resilience.MatchIs(nil)(tree))
	assert.False(t, resilience.MatchIs(uncomparable{[]string{"a"}})(uncomparable{[]string{"a"}}))
	assert.False(t, resilience.MatchIs(errPlain)(bomb{}))
	assert.False(t, resilience.MatchIs(errPlain)(&ouroboros{}))
	assert.False(t, resilience.MatchAs[*os.PathError]()(errors.Join(bomb{}, &hydra{})))
}

type asPathError struct{}

func (asPathError) Error() string { return "as" }
func (asPathError) As(target any) bool {
	p, ok := target.(**os.PathError)
	if ok {
		*p = &os.PathError{}
	}
	return ok
}

func TestPushback(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(1<<63 - 1)
	for name, tt := range map[string]struct {
		err  error
		want time.Duration
	}{
		"nil":                     {nil, 0},
		"none":                    {errPlain, 0},
		"mark":                    {resilience.RetryAfter(errPlain, time.Second), time.Second},
		"wrapped":                 {fmt.Errorf("x: %w", resilience.RetryAfter(errPlain, time.Second)), time.Second},
		"now":                     {resilience.RetryAfter(errPlain, 0), 0},
		"past":                    {resilience.RetryAfter(errPlain, -time.Hour), 0},
		"the longest":             {resilience.RetryAfter(errPlain, longest), longest},
		"method":                  {&speaker{after: time.Minute}, time.Minute},
		"method, past":            {&speaker{after: -time.Minute}, 0},
		"outer first":             {resilience.RetryAfter(pusher(time.Hour), time.Second), time.Second},
		"outer without pushback":  {resilience.Retryable(pusher(time.Hour)), time.Hour},
		"joined: the longest":     {errors.Join(pusher(time.Second), pusher(time.Hour), pusher(time.Minute)), time.Hour},
		"panics":                  {bomb{}, 0},
		"panics beside":           {errors.Join(bomb{}, pusher(time.Second)), time.Second},
		"wraps itself":            {&ouroboros{}, 0},
		"wraps itself threefold":  {&hydra{}, 0},
		"a nil pointer":           {(*speaker)(nil), 0},
		"outer's past is no word": {resilience.RetryAfter(pusher(time.Minute), -1), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, ok := resilience.Pushback(tt.err)
			assert.Equal(t, tt.want, d)
			assert.Equal(t, tt.want > 0, ok)
		})
	}
}

func TestErrorType(t *testing.T) {
	t.Parallel()
	var syntax *json.SyntaxError
	require.ErrorAs(t, json.Unmarshal([]byte("{"), new(any)), &syntax)
	long := strings.Repeat("x", 100)
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"nil":             {nil, ""},
		"text":            {errPlain, "_OTHER"},
		"formatted":       {fmt.Errorf("n %d", 1), "_OTHER"},
		"wrapped text":    {fmt.Errorf("x: %w", errPlain), "_OTHER"},
		"joined text":     {errors.Join(errPlain, fmt.Errorf("%w %w", errPlain, errPlain)), "_OTHER"},
		"marked text":     {resilience.Permanent(errPlain), "_OTHER"},
		"Go type":         {fmt.Errorf("x: %w", syntax), "*json.SyntaxError"},
		"own":             {fmt.Errorf("x: %w", &speaker{kind: "quota"}), "quota"},
		"own over known":  {&speaker{kind: "quota", wrapped: syscall.EPIPE}, "quota"},
		"inner own":       {&net.OpError{Err: &speaker{kind: "quota"}}, "quota"},
		"own but empty":   {&speaker{wrapped: syscall.EPIPE}, "broken_pipe"},
		"own too long":    {&speaker{kind: long}, long[:64]},
		"own not UTF-8":   {&speaker{kind: "a\xffb"}, "ab"},
		"own with breaks": {&speaker{kind: "a\nb\x00c"}, "abc"},
		"refused":         {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "connection_refused"},
		"reset":           {syscall.ECONNRESET, "connection_reset"},
		"timeout":         {context.DeadlineExceeded, "timeout"},
		"cancelled":       {fmt.Errorf("x: %w", context.Canceled), "canceled"},
		"DNS":             {&net.DNSError{IsTemporary: true}, "dns"},
		"no such host":    {&net.OpError{Err: &net.DNSError{IsNotFound: true}}, "dns_not_found"},
		"unexpected EOF":  {io.ErrUnexpectedEOF, "unexpected_eof"},
		"hung up":         {&url.Error{Err: io.EOF}, "unexpected_eof"},
		"certificate":     {&url.Error{Err: &net.OpError{Err: &tls.CertificateVerificationError{}}}, "*tls.CertificateVerificationError"},
		"only tried":      {fmt.Errorf("x: %w", &url.Error{Err: errPlain}), "*url.Error"},
		"panics":          {bomb{}, "resilience_test.bomb"},
		"own with a URL":  {&speaker{kind: "https://u:secret@h/"}, "*resilience_test.speaker"},
		"cut in a letter": {aKlasseMitEinemLangenNamenDieEsInWirklichenProgrammenÄÖÜÄÖÜ{}, "resilience_test.aKlasseMitEinemLangenNamenDieEsInWirklichenProgr"},
		"wraps itself":    {&ouroboros{}, "*resilience_test.ouroboros"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, resilience.ErrorType(tt.err))
		})
	}
}

type aKlasseMitEinemLangenNamenDieEsInWirklichenProgrammenÄÖÜÄÖÜ struct{ error } //nolint:asciicheck,errname // the letters are what is tested

func TestClassString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "unknown retryable permanent refused Class(9)", fmt.Sprint(
		resilience.ClassUnknown, " ", resilience.ClassRetryable, " ", resilience.ClassPermanent, " ",
		resilience.ClassRefused, " ", resilience.Class(9)))
}

// What classifies errors on the way of every failure must not allocate.
func TestClassifyDoesNotAllocate(t *testing.T) {
	err := fmt.Errorf("get: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	rules := resilience.Rules{Permanent: []resilience.Matcher{resilience.MatchIs(io.EOF), resilience.MatchAs[*speaker]()}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = rules.Classify(err)
		_ = resilience.ErrorType(err)
		_, _ = resilience.Pushback(err)
	}))
}
