package resilience

// CalleeError returns what err says of the callee, and whether the callee was asked. It is
// for policies that judge the callee, such as circuit breakers; [Rules] say what is to be
// repeated, which is another question:
//
//   - A retry that gave up refuses to be repeated, but it did ask. Of it, and of any error
//     with a method LastFailure() error, the last failure counts.
//   - A refusal, as of an open breaker, was not sent, nor was a call whose context ended
//     before its turn: an error with a method NotSent() bool that returns true.
//
// The callee error of nil is nil, and the callee was asked.
func CalleeError(err error) (failure error, asked bool) {
	for range maxNested {
		last, gaveUp := lastFailureIn(err)
		if !gaveUp {
			break
		}
		if err = last; err == nil {
			return nil, false // it never came to an attempt
		}
	}
	return err, err == nil || forced(err) != ClassRefused && !matchNotSent(err)
}

// maxNested bounds how many retries within retries are looked into, so that an error that is
// its own last failure cannot hang a call.
const maxNested = 100

// lastFailureIn returns what the outermost error in the tree of err that knows it says the
// last failure was, and whether there is such an error.
func lastFailureIn(err error) (last error, gaveUp bool) {
	visit(err, func(err error) bool {
		if says, ok := err.(interface{ LastFailure() error }); ok {
			last, gaveUp = saysLastFailure(says)
		}
		return !gaveUp
	})
	return last, gaveUp
}

func matchNotSent(err error) (notSent bool) {
	visit(err, func(err error) bool {
		says, ok := err.(interface{ NotSent() bool })
		notSent = ok && saysNotSent(says)
		return !notSent
	})
	return notSent
}

// The functions below call methods of foreign errors, which may panic.

func saysLastFailure(err interface{ LastFailure() error }) (last error, said bool) {
	defer ignorePanic()
	return err.LastFailure(), true
}

func saysNotSent(err interface{ NotSent() bool }) bool {
	defer ignorePanic()
	return err.NotSent()
}

// Throttled reports whether the callee asked for fewer calls: by [RetryAfter], whatever its
// time, or by an error with a method Throttled() bool that returns true, or with a method
// RetryAfter() (time.Duration, bool), anywhere in the tree of the [CalleeError]. A plain failure or timeout
// asks for nothing: it says nothing about rates. Nor does the refusal of a policy on this side.
func Throttled(err error) (throttled bool) {
	failure, asked := CalleeError(err)
	if !asked {
		return false
	}
	visit(failure, func(err error) bool {
		if says, ok := err.(interface{ Throttled() bool }); ok {
			throttled = saysThrottled(says)
		} else {
			_, throttled = ownPushback(err)
		}
		return !throttled
	})
	return throttled
}

func saysThrottled(err interface{ Throttled() bool }) bool {
	defer ignorePanic()
	return err.Throttled()
}
