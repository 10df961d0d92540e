//go:build race

package gallery_test

import "testing"

// slow skips a test whose worlds have one goroutine at a time: the race detector would see nothing
// in it that it does not see in the others, and take ten times as long.
func slow(t *testing.T) {
	t.Helper()
	t.Skip("SKIPPED under the race detector, and run without it")
}
