//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a child the head of a process group, so that Ctrl-C in a terminal reaches the
// parent alone, which ends its children in order.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills a child with all that it has started.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
