// Package bench measures the toolkit beside what it stands in for: a bare call, a loop
// written by hand, the same loop instrumented by hand with OpenTelemetry, and peers.
//
//	go test -run '^$' -bench . -count 8 ./bench | tee new.txt
//	benchstat -col /by new.txt
//
// Compare within one run only: machines and their neighbours differ.
package bench
