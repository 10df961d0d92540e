package fallback

import "fmt"

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

// Error tells both failures, that of the operation first.
func (e *Error) Error() string {
	return fmt.Sprintf("fallback: %q: %v; the alternative failed too: %v", e.Name, e.Primary, e.Err)
}

// Unwrap returns both failures.
func (e *Error) Unwrap() []error { return []error{e.Primary, e.Err} }
