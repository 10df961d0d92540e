//go:build !windows && !plan9

package resilience

import "syscall"

// transientErrno returns the error type of an error number of a connection that may
// be there at the next attempt.
func transientErrno(err error) string {
	errno, ok := err.(syscall.Errno)
	if !ok {
		return ""
	}
	switch errno {
	case syscall.ECONNREFUSED:
		return "connection_refused"
	case syscall.ECONNRESET:
		return "connection_reset"
	case syscall.ECONNABORTED:
		return "connection_aborted"
	case syscall.EPIPE:
		return "broken_pipe"
	case syscall.EHOSTUNREACH:
		return "host_unreachable"
	case syscall.ENETUNREACH:
		return "network_unreachable"
	}
	return ""
}
