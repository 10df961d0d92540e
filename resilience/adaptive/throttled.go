package adaptive

import (
	"errors"

	"github.com/observable-go/toolkit/resilience"
)

// Throttled reports whether err is the answer of a callee that asks for fewer calls: if the
// callee said when to come back, as [resilience.Pushback] tells, or if an error in err's
// tree has a method
//
//	Throttled() bool
//
// that returns true; of several the one that errors.As finds decides, and one that panics
// counts as false. A plain failure or timeout is no such answer: it says nothing about
// rates.
func Throttled(err error) bool {
	if _, ok := resilience.Pushback(err); ok {
		return true
	}
	return saysThrottled(err)
}

func saysThrottled(err error) (throttled bool) {
	defer func() { _ = recover() }() // of a foreign method
	var says interface{ Throttled() bool }
	return errors.As(err, &says) && says.Throttled()
}
