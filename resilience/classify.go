package resilience

import (
	"context"
	"time"
)

// Classify is the opinion that the policies of this toolkit share unless they are
// told otherwise: that of the zero [Rules].
func Classify(err error) Class { return (&Rules{}).Classify(err) }

// Rules decide the class of an error. The first that has an opinion decides:
//
//  1. a mark by [Refused] or [Permanent], or a method Refused() bool that returns true,
//     anywhere in the error's tree
//  2. Permanent
//  3. Classifier
//  4. Retryable
//  5. the error's own word: a mark by [Retryable] or [RetryAfter], or one of the
//     methods Retryable() bool and RetryAfter() (time.Duration, bool)
//  6. what is known: timeouts, temporary DNS failures, connections that were refused,
//     reset, aborted or broken, hosts and networks that cannot be reached,
//     [io.ErrUnexpectedEOF], and an [io.EOF] in a [*url.Error] (a server that hung up)
//     are retryable; [context.Canceled] is permanent
//  7. Unknown
//
// In 5 and 6 the word of an error stands before that of the errors it wraps, and the
// strictest word wins among joined errors. An error without an opinion does not
// count, so fmt.Errorf("%w: %w", ErrFetch, syscall.ECONNRESET) is retryable.
//
// The zero Rules are ready to use. Rules must not be changed while in use.
type Rules struct {
	// Permanent and Retryable hold what [MatchIs] and [MatchAs] make, for instance.
	Permanent []Matcher
	Retryable []Matcher
	// Classifier, if not nil, is asked between the two.
	Classifier Classifier
	// Unknown is the class of errors on which nobody has an opinion.
	Unknown Class
	// WithoutKnown leaves out step 6.
	WithoutKnown bool
}

// Classify returns the class of err. For nil it is ClassUnknown. A method of err
// that panics counts as one that is not there; a panic in r.Classifier goes on up.
func (r *Rules) Classify(err error) Class {
	if err == nil {
		return ClassUnknown
	}
	if c := forced(err); c != ClassUnknown {
		return c
	}
	if matches(r.Permanent, err) {
		return ClassPermanent
	}
	if r.Classifier != nil {
		if c := r.Classifier(err); c != ClassUnknown && c <= ClassRefused {
			return c
		}
	}
	if matches(r.Retryable, err) {
		return ClassRetryable
	}
	if c := opinion(err, ownWord); c != ClassUnknown {
		return c
	}
	if !r.WithoutKnown {
		if c := opinion(err, knownClass); c != ClassUnknown {
			return c
		}
	}
	return r.Unknown
}

// A Matcher reports whether a rule is for an error. It must be safe for use by several
// goroutines at once.
type Matcher func(err error) bool

// MatchIs returns a Matcher of what errors.Is finds equal to target. A nil target
// matches nothing.
func MatchIs(target error) Matcher {
	return func(err error) (found bool) {
		visit(err, func(err error) bool {
			found = target != nil && errorIs(err, target)
			return !found
		})
		return found
	}
}

// MatchAs returns a Matcher of errors in which errors.As finds an E.
func MatchAs[E error]() Matcher {
	return func(err error) (found bool) {
		visit(err, func(err error) bool {
			_, found = err.(E)
			found = found || saysAs[E](err)
			return !found
		})
		return found
	}
}

// Pushback returns how long the callee asked to wait, and whether it did: by
// [RetryAfter] or by an error with a method RetryAfter() (time.Duration, bool). It is
// always positive: what lies in the past is no pushback. The word of an error stands
// before that of what it wraps; among joined errors the longest wins.
func Pushback(err error) (time.Duration, bool) {
	var longest time.Duration
	left := maxErrors
	pushbackOfTree(err, &longest, &left)
	return longest, longest > 0
}

func pushbackOfTree(err error, longest *time.Duration, left *int) {
	for err != nil {
		if *left--; *left < 0 {
			return
		}
		if d, ok := ownPushback(err); ok {
			*longest = max(*longest, d)
			return
		}
		next, branches := unwrap(err)
		for _, branch := range branches {
			pushbackOfTree(branch, longest, left)
		}
		err = next
	}
}

// forced returns the strictest mark in the tree of err that nothing overrides.
func forced(err error) (strictest Class) {
	visit(err, func(err error) bool {
		switch says := err.(type) {
		case *mark:
			if says.class > ClassRetryable {
				strictest = max(strictest, says.class)
			}
		case interface{ Refused() bool }:
			if saysRefused(says) {
				strictest = ClassRefused
			}
		}
		return strictest != ClassRefused
	})
	return strictest
}

// ownWord returns what one error, not its tree, says of itself.
func ownWord(err error) Class {
	if m, ok := err.(*mark); ok {
		return m.class
	}
	if r, ok := err.(interface{ Retryable() bool }); ok {
		return saysRetryable(r)
	}
	if _, ok := ownPushback(err); ok {
		return ClassRetryable
	}
	return ClassUnknown
}

func knownClass(err error) Class {
	if errorIs(err, context.Canceled) {
		return ClassPermanent
	}
	if transientName(err) != "" {
		return ClassRetryable
	}
	return ClassUnknown
}

func matches(matchers []Matcher, err error) bool {
	for _, match := range matchers {
		if match(err) {
			return true
		}
	}
	return false
}

// The functions below call methods of foreign errors, which may panic.

func saysRetryable(err interface{ Retryable() bool }) (c Class) {
	defer ignorePanic()
	if err.Retryable() {
		return ClassRetryable
	}
	return ClassPermanent
}

func saysRefused(err interface{ Refused() bool }) bool {
	defer ignorePanic()
	return err.Refused()
}

func ownPushback(err error) (d time.Duration, ok bool) {
	if m, is := err.(*mark); is {
		return m.after, m.after > 0
	}
	says, is := err.(interface{ RetryAfter() (time.Duration, bool) })
	if !is {
		return 0, false
	}
	defer ignorePanic()
	return says.RetryAfter()
}

// errorIs is errors.Is for one error without its tree.
func errorIs(err, target error) (is bool) {
	defer ignorePanic() // of a method, or of comparing what cannot be compared
	if x, ok := err.(interface{ Is(error) bool }); ok && x.Is(target) {
		return true
	}
	return err == target
}

func saysAs[E error](err error) (is bool) {
	x, ok := err.(interface{ As(any) bool })
	if !ok {
		return false
	}
	defer ignorePanic()
	return x.As(new(E))
}
