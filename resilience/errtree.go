package resilience

// maxErrors bounds how much of an error's tree is looked at, so that an error that
// wraps itself cannot hang a call. It is more than a batch of work joins.
const maxErrors = 10_000

// visit calls see for err and for everything that it wraps, depth first, outermost
// first, as errors.Is and errors.As do, until see returns false. Errors come from
// anywhere: a method of theirs that panics counts as one that is not there.
func visit(err error, see func(error) bool) {
	left := maxErrors
	visitTree(err, see, &left)
}

func visitTree(err error, see func(error) bool, left *int) bool {
	for err != nil {
		if *left--; *left < 0 || !see(err) {
			return false
		}
		next, branches := unwrap(err)
		for _, branch := range branches {
			if !visitTree(branch, see, left) {
				return false
			}
		}
		err = next
	}
	return true
}

// opinion returns what the tree of err says: the word of an error stands before that
// of what it wraps, and among joined errors the strictest word wins.
func opinion(err error, word func(error) Class) Class {
	left := maxErrors
	return opinionOfTree(err, word, &left)
}

func opinionOfTree(err error, word func(error) Class, left *int) Class {
	for err != nil {
		if *left--; *left < 0 {
			return ClassUnknown
		}
		if c := word(err); c != ClassUnknown {
			return c
		}
		next, branches := unwrap(err)
		strictest := ClassUnknown
		for _, branch := range branches {
			strictest = max(strictest, opinionOfTree(branch, word, left))
		}
		if strictest != ClassUnknown {
			return strictest
		}
		err = next
	}
	return ClassUnknown
}

// unwrap returns what err wraps: one error, several, or none.
func unwrap(err error) (next error, branches []error) {
	defer ignorePanic()
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		return w.Unwrap(), nil
	case interface{ Unwrap() []error }:
		return nil, w.Unwrap()
	}
	return nil, nil
}

// ignorePanic is deferred around calls of methods of foreign errors: one that is broken
// must not fail the call.
func ignorePanic() { _ = recover() }
