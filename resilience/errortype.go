package resilience

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"unicode"
)

// OtherErrorType is the error type of errors that say nothing about their type, and
// of those beyond what telemetry keeps apart. It is the fallback value of error.type
// in the OpenTelemetry semantic conventions.
const OtherErrorType = "_OTHER"

// maxErrorType bounds the length of an error type in bytes.
const maxErrorType = 64

// ErrorType returns a short name for what kind of error err is, of low cardinality,
// as telemetry shows it under error.type. The first of these that is found in err's
// tree:
//
//   - what a method ErrorType() string returns
//   - the name of a known failure: "timeout", "connection_refused",
//     "connection_reset", "connection_aborted", "broken_pipe", "host_unreachable",
//     "network_unreachable", "unexpected_eof", "dns" (which may pass),
//     "dns_not_found" or "canceled"
//   - the Go type of the error, such as "*json.SyntaxError", past types that only
//     carry a text; one that only says what was tried, such as "*url.Error", counts
//     if there is no other
//   - [OtherErrorType]
//
// It is at most 64 bytes long. For nil it is "".
func ErrorType(err error) string {
	if err == nil {
		return ""
	}
	name := ""
	find := func(nameOf func(error) string) bool {
		visit(err, func(err error) bool {
			name = nameOf(err)
			return name == ""
		})
		return name != ""
	}
	if find(ownErrorType) || find(knownName) || find(innerType) || find(outerType) {
		return name
	}
	return OtherErrorType
}

// ownErrorType returns what err says its type is: printable, valid UTF-8, bounded.
func ownErrorType(err error) (name string) {
	says, ok := err.(interface{ ErrorType() string })
	if !ok {
		return ""
	}
	defer ignorePanic()
	name = says.ErrorType()
	if strings.Contains(name, "//") {
		return "" // a URL is no type, and may hold a secret
	}
	return printable(name)
}

// printable returns what is printable in the first bytes of name. What is not UTF-8
// would make exporters reject a whole batch of metrics.
func printable(name string) string {
	name = strings.ToValidUTF8(name[:min(len(name), maxErrorType)], "")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name)
}

func knownName(err error) string {
	if errorIs(err, context.Canceled) {
		return "canceled"
	}
	if name := transientName(err); name != "" {
		return name
	}
	if dns, ok := err.(*net.DNSError); ok && dns != nil && dns.IsNotFound {
		return "dns_not_found"
	}
	return ""
}

// carriers are types that say how an error was made, not what it is.
var carriers = func() map[reflect.Type]bool {
	text := errors.New("text")
	types := make(map[reflect.Type]bool)
	for _, err := range []error{
		text,
		Retryable(text),
		errors.Join(text),
		fmt.Errorf("text %d", 1),
		fmt.Errorf("%w", text),
		fmt.Errorf("%w: %w", text, text),
	} {
		types[reflect.TypeOf(err)] = true
	}
	return types
}()

// innerType returns the Go type of an error that says what went wrong.
func innerType(err error) string {
	switch err.(type) {
	case *url.Error, *net.OpError, *fs.PathError, *os.SyscallError, *os.LinkError:
		return "" // these say what was tried
	}
	return outerType(err)
}

// outerType returns the Go type of an error unless that only carries a text.
func outerType(err error) string {
	t := reflect.TypeOf(err)
	if carriers[t] {
		return ""
	}
	return printable(t.String())
}
