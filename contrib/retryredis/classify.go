package retryredis

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// isReply reports whether err is an error that Redis answered.
func isReply(err error) bool {
	_, reply := errors.AsType[redis.Error](err)
	return reply
}

// kind is what an error says of its command.
type kind int

const (
	executed   kind = iota // and there is nothing to complain about
	unexecuted             // it may be sent again
	answered               // it was refused, or cannot be sent any more
	lost                   // nobody knows whether it was executed
)

func kindOf(err error) kind {
	switch {
	case err == nil, errors.Is(err, redis.Nil): // there is no such key
		return executed
	case isUnexecuted(err):
		return unexecuted
	case isReply(err), isUnusable(err):
		return answered
	default:
		return lost
	}
}

// isUnexecuted reports whether err proves that Redis did not execute the command, and that
// it may do so later.
func isUnexecuted(err error) bool {
	if isReply(err) {
		return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) ||
			redis.IsTryAgainError(err) || redis.IsClusterDownError(err) || redis.IsNoReplicasError(err) ||
			redis.IsMaxClientsError(err)
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	_, dial := errors.AsType[*dialError](err)
	return dial || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// isConnection reports whether the error of a command that was lost is a failure of the
// connection, which may be over at the next attempt.
func isConnection(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

// badConn is how go-redis begins the error of a connection that was lost in a session, such
// as a Watch. Its type cannot be named.
const badConn = "redis: Conn is in a bad state"

// isUnusable reports whether the client or the session that sent the command is at its end.
func isUnusable(err error) bool {
	return errors.Is(err, redis.ErrClosed) || strings.HasPrefix(err.Error(), badConn)
}

// isRouting reports whether a cluster sends the command elsewhere by itself after err. Each
// proves that the command was not executed.
func isRouting(err error) bool {
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsReadOnlyError(err) || errors.Is(err, redis.ErrClosed)
}

// typeOf returns the name of err in telemetry: the first word of an answer such as
// "LOADING", or "" for what others name.
func typeOf(err error) string {
	switch {
	case isReply(err):
		word, _, _ := strings.Cut(err.Error(), " ")
		if redis.IsMaxClientsError(err) {
			return "max_clients"
		}
		if isCode(word) {
			return word
		}
		return "redis"
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return "pool_timeout"
	case errors.Is(err, io.EOF):
		return "unexpected_eof"
	default:
		return ""
	}
}

// isCode reports whether word is the code of an error in the form that Redis has for them.
// Scripts answer anything.
func isCode(word string) bool {
	const longest = 20
	for _, r := range word {
		if r < 'A' || r > 'Z' {
			return false
		}
	}
	return word != "" && len(word) <= longest
}
