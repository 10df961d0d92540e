package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// roleVariable makes this program a child of itself.
const roleVariable = "EXAMPLE_REPLICAS_ROLE"

const (
	roleReplica = "replica"
	roleRedis   = "redis"
)

// runRole does what a child is for, and reports whether this process is one. Every process begins
// with it.
func runRole() bool {
	keepRedisQuiet()
	var err error
	switch os.Getenv(roleVariable) {
	case roleReplica:
		err = runReplica(os.Stdin, os.Stdout)
	case roleRedis:
		err = keepRedis(os.Stdin, os.Stdout)
	default:
		return false
	}
	if err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(message{Failure: err.Error()}) //nolint:errchkjson // or the parent has ended
		os.Exit(1)
	}
	return true
}

// childPatience is how long a child may take for what it is asked to do.
const childPatience = 30 * time.Second

// A child is a process of this program in another role. It ends when its standard input does,
// which it does when this process ends, in whatever way.
type child struct {
	name     string
	cmd      *exec.Cmd
	in       io.WriteCloser
	commands *json.Encoder
	messages chan message // closed when the child writes no more
}

// startChild starts a child, with its errors going to errs. What it says is read by the time that
// the channel of its messages is closed.
func startChild(name, role string, errs io.Writer) (*child, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path) // which is killed by its group alone
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = errs
	ownGroup(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{name: name, cmd: cmd, in: in, commands: json.NewEncoder(in), messages: make(chan message, 100)}
	go func() {
		defer close(c.messages)
		for decoder := json.NewDecoder(out); ; {
			var m message
			if decoder.Decode(&m) != nil {
				return
			}
			c.messages <- m
		}
	}()
	return c, nil
}

// send writes a line to the child.
func (c *child) send(line any) {
	_ = c.commands.Encode(line) //nolint:errchkjson // a child that has ended is found out by the next receive
}

// receive returns the next message.
func (c *child) receive(ctx context.Context) (message, error) {
	timer := time.NewTimer(childPatience)
	defer timer.Stop()
	select {
	case m, ok := <-c.messages:
		if !ok {
			return m, fmt.Errorf("%s has ended too early", c.name)
		}
		if m.Failure != "" {
			return m, fmt.Errorf("%s: %s", c.name, m.Failure)
		}
		return m, nil
	case <-ctx.Done():
		return message{}, context.Cause(ctx)
	case <-timer.C:
		return message{}, fmt.Errorf("%s says nothing for %v", c.name, childPatience)
	}
}

// end closes the standard input of the child and waits until it has ended. One that does not is
// killed.
func (c *child) end(patience time.Duration) {
	_ = c.in.Close()
	timer := time.AfterFunc(patience, func() { killGroup(c.cmd) })
	defer timer.Stop()
	for range c.messages { // what it still says must be read before Wait, and is of no use
	}
	_ = c.cmd.Wait()
}

// errInterrupted is the result of a run that Ctrl-C has ended.
var errInterrupted = errors.New("interrupted: there is no result")
