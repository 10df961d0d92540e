package resilience

// transientErrno finds nothing: on Plan 9 errors of connections are bare strings.
func transientErrno(error) string { return "" }
