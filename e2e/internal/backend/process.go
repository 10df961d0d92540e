package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A Process is a program that runs beside the tests, in a process group of its own.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	err  error         // why it ended, once done is closed
}

// grace is how long a program has to end by itself.
const grace = 5 * time.Second

// Start runs a program. What it prints goes to NAME.log among the artefacts.
func Start(name, program string, args ...string) (*Process, error) {
	dir, err := Artifacts()
	if err != nil {
		return nil, err
	}
	p := &Process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(program, args...) //nolint:noctx,gosec // it is ended by Stop, and one of ours
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	return p, nil
}

// Stop ends the program and everything that it has started.
func (p *Process) Stop() {
	_ = terminate(p.cmd.Process)
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	_ = kill(p.cmd.Process) // what is left of its group
	<-p.done
}

// Kill ends the program and everything that it has started without a word.
func (p *Process) Kill() {
	_ = kill(p.cmd.Process)
	<-p.done
}

// Interrupt asks the program to end, and waits until it has. A program that does not end in time,
// or ends with another code than 0, is an error.
func (p *Process) Interrupt() error {
	if err := terminate(p.cmd.Process); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(grace):
		return fmt.Errorf("%s has not ended within %v", p.name, grace)
	}
}

// Log returns what the program has printed so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await polls ready until it returns nil, for as long as the program runs and ctx lasts.
func (p *Process) await(ctx context.Context, ready func(context.Context) error) error {
	const interval = 50 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w: %s", p.name, errors.Join(errEnded, p.err), tail(p.Log()))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %s", p.name, err, tail(p.Log()))
		case <-tick.C:
		}
	}
}

var errEnded = errors.New("the program has ended")

// tail returns the end of a log.
func tail(log string) string {
	const most = 2000
	return "..." + log[max(0, len(log)-most):]
}
