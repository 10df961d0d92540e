package budgetredis

// A Mode says where a budget decides.
type Mode uint8

const (
	// Closed: Redis is not there, and no retry is granted.
	Closed Mode = iota
	// Local: Redis is not there, and the local budget decides.
	Local
	// Shared: tokens come from the budget of all replicas.
	Shared
)

// String returns the mode in a word.
func (m Mode) String() string {
	switch m {
	case Closed:
		return "closed"
	case Local:
		return "local"
	case Shared:
		return "shared"
	}
	return "unknown"
}
