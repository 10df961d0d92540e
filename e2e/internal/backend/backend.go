// Package backend runs the real programs that the tests of this module need, on loopback and on
// free ports: Prometheus, Jaeger, Redis and a browser.
package backend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	// BinVariable names the folder that holds prometheus, promtool and jaeger. The tests are
	// skipped without it; with it everything must be there. `.ci/run e2e` sets it.
	BinVariable = "RESILIENCE_E2E_BIN"
	// ArtifactsVariable names the folder for screenshots and logs: artifacts in the folder of the
	// tests if it is not set.
	ArtifactsVariable = "RESILIENCE_E2E_ARTIFACTS"
)

// Wanted reports whether the tests are to run.
func Wanted() bool { return os.Getenv(BinVariable) != "" }

// Program returns the path of a program that `.ci/run e2e` builds.
func Program(name string) (string, error) {
	path, err := exec.LookPath(filepath.Join(os.Getenv(BinVariable), name))
	if err != nil {
		return "", fmt.Errorf("%s=%q: %w: `.ci/run e2e` builds it", BinVariable, os.Getenv(BinVariable), err)
	}
	return filepath.Abs(path)
}

// Artifacts returns the folder for what is left for people to look at, which it makes.
func Artifacts() (string, error) {
	dir := os.Getenv(ArtifactsVariable)
	if dir == "" {
		dir = "artifacts"
	}
	return dir, os.MkdirAll(dir, 0o755) //nolint:gosec // others may look at it
}
