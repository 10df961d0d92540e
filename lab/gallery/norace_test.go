//go:build !race

package gallery_test

import "testing"

// slow marks a test that the race detector skips.
func slow(*testing.T) {}
