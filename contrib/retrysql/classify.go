package retrysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/observable-go/toolkit/resilience"
)

// Classify returns whether a transaction that failed with err before its COMMIT, and was
// rolled back, is worth another attempt. It serves as the classifier of a policy whose
// operations use a database without a [Runner], which applies it by itself. It has no opinion
// on errors that have a word of their own, nor on what resilience.Classify knows by itself.
//
// A COMMIT, or a statement outside of a transaction, may have taken effect in spite of such
// an error.
func Classify(err error) resilience.Class {
	if hasOwnWord(err) {
		return resilience.ClassUnknown
	}
	return (&settings{}).classOf(err, (&settings{}).stateOf(err))
}

// Codes of PostgreSQL, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	cannotEstablishConnection = "08001"
	rejectedConnection        = "08004"
	failedTransaction         = "25P02" // in_failed_sql_transaction
	violatedAtCommit          = "40002" // transaction_integrity_constraint_violation
	completionUnknown         = "40003" // statement_completion_unknown
	tooManyConnections        = "53300"
	lockNotAvailable          = "55P03"
	queryCanceled             = "57014"
	adminShutdown             = "57P01"
	crashShutdown             = "57P02"
	cannotConnectNow          = "57P03"
	idleSessionTimeout        = "57P05"
)

// classOf returns the class of an error with the given SQLSTATE, which may be "".
func (s *settings) classOf(err error, state string) resilience.Class {
	if s.classifier != nil {
		if c := s.classifier(err); c != resilience.ClassUnknown {
			return c
		}
	}
	switch {
	case state != "":
		return classOfState(state)
	case lostConnection(err):
		return resilience.ClassRetryable
	}
	return resilience.ClassUnknown
}

func classOfState(state string) resilience.Class {
	switch state {
	case tooManyConnections, lockNotAvailable, adminShutdown, crashShutdown, cannotConnectNow, idleSessionTimeout:
		return resilience.ClassRetryable
	case violatedAtCommit:
		return resilience.ClassPermanent
	case queryCanceled:
		// By a timeout of the server, by an administrator, or by a driver whose context ended:
		// the policy knows more than the code.
		return resilience.ClassUnknown
	}
	switch state[:2] {
	case "08", "40": // connection exceptions, transaction rollbacks
		return resilience.ClassRetryable
	}
	return resilience.ClassPermanent
}

// provesNoEffect reports whether a COMMIT or a single statement that failed with err, whose
// SQLSTATE is state or "", is known to have had no effect.
func provesNoEffect(err error, state string) bool {
	switch state {
	case "":
		return saysNoEffect(err) || notConnected(err)
	case cannotEstablishConnection, rejectedConnection, tooManyConnections, cannotConnectNow:
		return true // there was no connection
	case completionUnknown:
		return false
	}
	switch state[:2] {
	case "08", // the connection broke, or 08007 transaction_resolution_unknown
		"53", "58", "XX": // a server that panics while it writes its log has one of these codes
		return false
	case "57": // operator intervention: also a session that is ended after its COMMIT was done
		return state == queryCanceled
	}
	return true
}

// saysNoEffect reports whether err says by itself that there was no effect.
//
// SafeToRetry of pgx is no such word, nor is driver.ErrBadConn: pgx up to 5.12 at least also
// says so of a statement without parameters, COMMIT among them, that was sent and whose answer
// was lost.
func saysNoEffect(err error) bool {
	says, ok := errors.AsType[interface {
		error
		NoEffect() bool
	}](err)
	return ok && says.NoEffect()
}

// notConnected reports whether there was no connection.
func notConnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// lostConnection reports whether err says that the connection is lost, in words that package
// resilience does not know.
func lostConnection(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	says, ok := errors.AsType[interface {
		error
		SafeToRetry() bool
	}](err)
	return ok && says.SafeToRetry() // a connection of pgx that is closed
}

// hasOwnWord reports whether err says by itself whether it is worth another attempt.
func hasOwnWord(err error) bool {
	own := resilience.Rules{WithoutKnown: true}
	return own.Classify(err) != resilience.ClassUnknown
}

// stateOf returns the SQLSTATE of err, or "" if it has none of proper form.
func (s *settings) stateOf(err error) string {
	if s.sqlState != nil {
		if state := s.sqlState(err); isState(state) {
			return state
		}
	}
	says, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	if !ok {
		return ""
	}
	if state := says.SQLState(); isState(state) {
		return state
	}
	return ""
}

// isState reports whether s has the form of a SQLSTATE: five digits and capitals.
func isState(s string) bool {
	if len(s) != len("00000") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
