package resilience

import (
	"io"
	"net"
	"net/url"
)

// transientName returns the error type of one error, not its tree, if it is a known
// transient failure, and "" otherwise.
func transientName(err error) (name string) {
	defer ignorePanic()
	if name := transientErrno(err); name != "" {
		return name
	}
	if err == io.ErrUnexpectedEOF {
		return "unexpected_eof"
	}
	if failed, ok := err.(*url.Error); ok && failed.Err == io.EOF {
		return "unexpected_eof" // the server hung up before it answered
	}
	if dns, ok := err.(*net.DNSError); ok {
		if dns.IsTimeout || dns.IsTemporary {
			return "dns"
		}
		return ""
	}
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return "timeout"
	}
	return ""
}
