package retryredis

// A failure is the error of an attempt, in words that policies understand.
type failure struct {
	err       error
	retryable bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Retryable reports whether the failure may be over at the next attempt.
func (f *failure) Retryable() bool { return f.retryable }

// ErrorType returns the name of the failure in telemetry.
func (f *failure) ErrorType() string { return typeOf(f.err) }

// An uncertain error is the failure of a command that Redis may have executed, and that must
// not be executed twice. It is a refusal, which nothing overrides, of a failure that breakers see.
type uncertain struct{ failure *failure }

func (u *uncertain) Error() string { return u.failure.Error() }
func (u *uncertain) Unwrap() error { return u.failure }

// Refused returns true: nobody is to repeat the command.
func (*uncertain) Refused() bool { return true }

// LastFailure returns the failure of the connection.
func (u *uncertain) LastFailure() error { return u.failure }

// A dialError says that there was no connection on which a command could have been sent.
type dialError struct{ err error }

func (d *dialError) Error() string { return d.err.Error() }
func (d *dialError) Unwrap() error { return d.err }

// isAnswer reports whether a policy let an answer of Redis pass, or that there is no key. What
// a policy made of it is no answer.
func isAnswer(err error) bool {
	f, ok := err.(*failure) //nolint:errorlint // only our own word, not what stands around it
	return err == nil || ok && !f.retryable
}
