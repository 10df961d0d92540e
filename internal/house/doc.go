// Package house holds tests that keep the structure of the toolkit: which package may
// import which, who may read the clock, what the module requires, and that
// everything users see is documented. It has no other code.
//
// The table of the packages stands in rooms_test.go. A new package needs a row there.
package house
