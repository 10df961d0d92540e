// Package compare reproduces the figures of docs/comparison.md: its tests run the peers and
// the toolkit side by side, log a line for each and fail if a figure is another.
//
//	go test -v ./bench/compare
//
// They run in bubbles of testing/synctest: an hour of waiting takes no time.
package compare
