package retryredis

import (
	"strings"

	"github.com/redis/go-redis/v9"
)

// judgePipeline returns why a pipeline failed, in words that policies understand, or nil: err
// is what sending it came to, and each command has an error of its own.
func (h *hook) judgePipeline(err error, cmds []redis.Cmder) error {
	if err == nil {
		return nil
	}
	queued, mayRepeat := cmds, h.mayRepeat
	if isTransaction(cmds) {
		exec := cmds[len(cmds)-1]
		queued = cmds[1 : len(cmds)-1]
		mayRepeat = func(cmd redis.Cmder) bool { return h.mayRepeat(exec) && h.mayRepeat(cmd) }
	}
	outcome := outcomes(err, queued)
	var transient, refused error // the first of each
	certain := true              // a repetition executes nothing twice that must not be
	read := false                // a command that reads came before
	for i, cmd := range queued {
		again := mayRepeat(cmd) && (!read || reads(cmd)) // else the reading would find what cmd wrote
		read = read || reads(cmd)
		switch kindOf(outcome[i]) {
		case unexecuted:
			transient = first(transient, outcome[i])
			continue
		case lost:
			transient = first(transient, outcome[i])
		case answered:
			refused = first(refused, outcome[i])
			if redis.IsExecAbortError(outcome[i]) {
				continue // the transaction was discarded as another command was refused
			}
		case executed:
		}
		certain = certain && again
	}
	switch {
	case transient == nil && refused == nil:
		return nil // there is no such key
	case transient == nil:
		return &failure{refused, false}
	}
	failed := &failure{transient, isUnexecuted(transient) || isConnection(transient)}
	if certain {
		return failed
	}
	return &uncertain{failed}
}

// outcomes returns the error of each command: that of the pipeline if it never came to them.
func outcomes(err error, cmds []redis.Cmder) []error {
	all := make([]error, len(cmds))
	came := false
	for i, cmd := range cmds {
		all[i] = cmd.Err()
		came = came || all[i] != nil
	}
	for i := range all {
		if !came {
			all[i] = err
		}
	}
	return all
}

// isTransaction reports whether go-redis made a transaction of a pipeline.
func isTransaction(cmds []redis.Cmder) bool {
	return len(cmds) >= 2 && strings.EqualFold(cmds[0].Name(), "multi") && strings.EqualFold(cmds[len(cmds)-1].Name(), "exec")
}

// first returns err, or next if there is none.
func first(err, next error) error {
	if err != nil {
		return err
	}
	return next
}
