package resilience

// A Budget caps the retries of everything that shares it. Each call deposits; each
// retry withdraws, and is sent only if it was granted. A hedge is a retry in this
// sense.
//
// Implementations are safe for use by several goroutines at once and never block:
// they are asked on the way of every call.
type Budget interface {
	// Deposit notes a call, not a retry, that is about to be sent.
	Deposit()
	// Withdraw asks for one retry and reports whether it was granted.
	Withdraw() bool
	// Refund gives back a granted retry that was never sent, or that a policy further in did
	// not send.
	Refund()
}
