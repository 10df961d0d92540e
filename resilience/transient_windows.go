package resilience

import "syscall"

// Codes of Windows that package syscall does not name.
// https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
const (
	netnameDeleted  syscall.Errno = 64 // of a connection that was reset
	wsaENETUNREACH  syscall.Errno = 10051
	wsaECONNABORTED syscall.Errno = 10053
	wsaECONNRESET   syscall.Errno = 10054
	wsaETIMEDOUT    syscall.Errno = 10060
	wsaECONNREFUSED syscall.Errno = 10061
	wsaEHOSTUNREACH syscall.Errno = 10065
)

// transientErrno returns the error type of an error number of a connection that may
// be there at the next attempt.
func transientErrno(err error) string {
	errno, ok := err.(syscall.Errno)
	if !ok {
		return ""
	}
	switch errno {
	case wsaECONNREFUSED, syscall.ECONNREFUSED:
		return "connection_refused"
	case wsaETIMEDOUT:
		return "timeout"
	case wsaECONNRESET, syscall.ECONNRESET, netnameDeleted:
		return "connection_reset"
	case wsaECONNABORTED, syscall.ECONNABORTED:
		return "connection_aborted"
	case syscall.ERROR_BROKEN_PIPE, syscall.EPIPE:
		return "broken_pipe"
	case wsaEHOSTUNREACH, syscall.EHOSTUNREACH:
		return "host_unreachable"
	case wsaENETUNREACH, syscall.ENETUNREACH:
		return "network_unreachable"
	}
	return ""
}
