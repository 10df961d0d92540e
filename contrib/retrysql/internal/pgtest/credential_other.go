//go:build !unix

package pgtest

import "os/exec"

// asUser changes nothing: only Unix has a user that PostgreSQL does not run as.
func asUser(string) (func(*exec.Cmd), error) { return func(*exec.Cmd) {}, nil }
