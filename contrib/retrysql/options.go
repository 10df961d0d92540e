package retrysql

import (
	"errors"

	"github.com/observable-go/toolkit/resilience"
)

// An Option changes a setting of a new [Runner]. Later options override earlier ones.
type Option func(*settings) error

type settings struct {
	idempotent bool
	sqlState   func(error) string
	classifier resilience.Classifier
}

// WithIdempotent says that all that the runner runs may take effect twice: an upsert, or a
// transaction that looks first whether it is done. A COMMIT or a statement whose outcome is
// unknown is then repeated too.
func WithIdempotent() Option {
	return func(s *settings) error { s.idempotent = true; return nil }
}

// WithSQLState finds the SQLSTATE of errors that have no method SQLState() string. f returns
// "" for errors of which it knows none. It may also name the code of PostgreSQL that comes
// closest, as it decides what is repeated and which COMMIT is known to have failed. For
// github.com/go-sql-driver/mysql:
//
//	retrysql.WithSQLState(func(err error) string {
//		failure, ok := errors.AsType[*mysql.MySQLError](err)
//		if !ok {
//			return ""
//		}
//		switch failure.Number {
//		case 1205: // the wait for a lock took too long, for which MySQL has no code of its own
//			return "55P03"
//		case 1040: // too many connections
//			return "53300"
//		}
//		return string(failure.SQLState[:]) // 40001 for 1213, a deadlock
//	})
func WithSQLState(f func(err error) string) Option {
	return func(s *settings) error {
		s.sqlState = f
		if f == nil {
			return errors.New("retrysql: sql_state: nil is not allowed: want a function")
		}
		return nil
	}
}

// WithClassifier asks c first whether a failure is to be repeated. resilience.ClassUnknown
// leaves it to the rules of this package. It is not asked about errors that have a word of
// their own, nor about a COMMIT or a statement whose outcome is unknown.
func WithClassifier(c resilience.Classifier) Option {
	return func(s *settings) error {
		s.classifier = c
		if c == nil {
			return errors.New("retrysql: classifier: nil is not allowed: want a function")
		}
		return nil
	}
}
