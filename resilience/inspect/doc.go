// Package inspect shows what the policies, guards and budgets of a process do: as a live
// page in a browser, as JSON and as plain text, without any backend. It also answers the
// probes that ask whether a service lives and is ready.
//
//	mux.Handle("/debug/resilience/", inspect.Handler())
//
// The page shows each retry policy with its rates, outcomes and errors over the last five
// minutes, the state of breakers and the tokens of budgets, and the latest calls that failed
// or were retried, each as a timeline of its attempts and waits, with a link to its trace.
//
// Like net/http/pprof it is for those who run the service: mount it where they alone can
// reach it. It only reads, changes nothing, and shows of errors what spans and logs show of
// them, so no secrets of URLs; names and error texts are inert in it. Below the path where it
// is mounted, which may be any, are
//
//	.           the page
//	state.json  all that it shows
//	state.txt   the same for a terminal, in short
//
// # Cost
//
// An [Inspector] samples all counts every two seconds. While there is one, a call that is
// retried or fails also reads the clock when its attempts begin and end and allocates its
// timeline; a call that succeeds at once only looks whether it should. The latest 8 calls of each
// policy, outcome and first error type are kept, 8 a second at most: what is beyond is counted as dropped, and
// nothing ever waits.
//
// If no meter provider is set up, calls do not read the clock when they begin. For a minute
// after a call of its name was in trouble a policy does, so that the page can tell how long
// first attempts took; before that a timeline begins with the end of the first attempt.
//
// # Health
//
// [Health] answers probes: [Health.Live] and [Health.Ready].
package inspect
