package fallback

import (
	"cmp"
	"fmt"
)

// An Error reports that an operation failed and its alternative too. errors.Is and errors.As
// find both failures in it. Its class is the stricter one of theirs.
type Error struct {
	// Name is that of the fallback.
	Name string
	// Err is the failure of the alternative.
	Err error
	// Primary is the failure of the operation.
	Primary error
}

// Error returns a text such as
//
//	rates: connection refused; the alternative failed too: the cache is empty
func (e *Error) Error() string { return cmp.Or(e.Name, "fallback") + ": " + e.failures().Error() }

// Unwrap returns both failures.
func (e *Error) Unwrap() []error { return e.failures().Unwrap() }

func (e *Error) failures() failures { return failures{e.Primary, e.Err} }

// failures are those of an Error without its name, which telemetry shows anyway.
type failures struct{ primary, alternative error }

func (f failures) Error() string {
	return fmt.Sprintf("%v; the alternative failed too: %v", f.primary, f.alternative)
}

func (f failures) Unwrap() []error { return []error{f.primary, f.alternative} }
