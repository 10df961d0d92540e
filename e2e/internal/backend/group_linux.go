package backend

import (
	"os"
	"syscall"
)

// ownGroup starts a program in a process group of its own. It is killed if the tests are, which
// then cannot stop it themselves.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// terminate asks the process group of p to end.
func terminate(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGTERM) }

// kill ends the process group of p.
func kill(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
