// Package sim runs code under virtual time. Tasks of a [World] run one at a time, each until
// it waits, and time passes only when all of them do. So a run is as fast as its code, and
// the same code with the same seed does the same in every run, however many processors there
// are.
//
// A World is the clock of the policies of this toolkit: they take it by their WithClock
// options, and their waits, timeouts, goroutines and random numbers are those of the world.
package sim
