package retrysql

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/observable-go/toolkit/resilience"
)

// failed returns the error of what had no effect, with the class and the name that policies
// and telemetry are to see. What says by itself what it is comes back as it is.
func (s *settings) failed(err error) error {
	if err == nil || hasOwnWord(err) {
		return err
	}
	state := s.stateOf(err)
	f := failure{err: err, name: state, throttled: state == tooManyConnections}
	if state == "" && lostConnection(err) {
		f.name = "connection_lost"
	}
	switch s.classOf(err, state) {
	case resilience.ClassRetryable:
		return &judged{f, true}
	case resilience.ClassPermanent:
		return &judged{f, false}
	case resilience.ClassRefused:
		return resilience.Refused(&f)
	case resilience.ClassUnknown:
	}
	if f.name == "" {
		return err
	}
	return &f
}

// commitFailed returns the error of a COMMIT that failed with err.
func (s *settings) commitFailed(err error) error {
	_, unknown := errors.AsType[*CommitUnknownError](err)
	switch {
	case unknown:
	case errors.Is(err, sql.ErrTxDone):
		return endedByFunction(err, nil)
	case answeredByRollback(err):
		return &judged{failure{
			err:  fmt.Errorf("retrysql: the function returned no error although a statement had failed: %w", err),
			name: failedTransaction,
		}, false}
	}
	return s.effectFailed(err)
}

// effectFailed returns the error of a COMMIT or of a statement outside of a transaction.
func (s *settings) effectFailed(err error) error {
	if err == nil {
		return nil
	}
	if _, unknown := errors.AsType[*CommitUnknownError](err); !unknown {
		if provesNoEffect(err, s.stateOf(err)) {
			return s.failed(err)
		}
		err = &CommitUnknownError{Err: err}
	}
	if s.idempotent {
		return resilience.Retryable(err)
	}
	return resilience.Permanent(err)
}

// answeredByRollback reports whether the server took a COMMIT for a ROLLBACK, as a statement
// had failed before. database/sql hands on the error of pgx, which this package knows by its
// text only, so as not to import pgx.
func answeredByRollback(err error) bool {
	return strings.HasSuffix(err.Error(), "commit unexpectedly resulted in rollback")
}
