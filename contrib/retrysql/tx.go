package retrysql

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/observable-go/toolkit/internal/ctxerr"
)

// A DB is what a [Runner] needs of a [*sql.DB]. A [*sql.Conn] serves too, but has no other
// connection to repeat anything on once its own is lost. A type around a *sql.DB must hand on
// its method Conn too: without it the pool repeats statements of [Runner.Exec] by itself.
type DB interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

var (
	_ DB = (*sql.DB)(nil)
	_ DB = (*sql.Conn)(nil)
)

// isMissing reports whether there is no database.
func isMissing(db DB) bool {
	switch db := db.(type) {
	case nil:
		return true
	case *sql.DB:
		return db == nil
	case *sql.Conn:
		return db == nil
	}
	return false
}

// Tx runs fn in a transaction: it begins one, calls fn and commits. If fn returns an error,
// panics or leaves its goroutine the transaction is rolled back. The package documentation
// says on which failures the policy repeats all this, and what holds inside of fn.
//
// If nothing is to be repeated the error is that of fn or of the driver, in a wrapper that
// errors.Is and errors.As look through, or a [*CommitUnknownError]. If the policy gave up it
// is the policy's.
//
// The transaction is also rolled back as soon as the context ends, as database/sql does it;
// statements that fn begins after that fail with [sql.ErrTxDone].
func (r *Runner) Tx(ctx context.Context, db DB, opts *sql.TxOptions, fn func(ctx context.Context, tx *sql.Tx) error) error {
	switch {
	case isMissing(db):
		return errNoDatabase
	case fn == nil:
		return errNoFunction
	}
	begin := func(ctx context.Context) (*transaction, error) { return begin(ctx, db, opts) }
	return Run(ctx, r, begin, func(ctx context.Context, t *transaction) error {
		stop := context.AfterFunc(ctx, func() { _ = rollback(ctx, t) })
		defer stop()
		return fn(ctx, t.tx)
	})
}

// TxValue is [Runner.Tx] for a function with a value. The value of its last run is returned,
// beside an error too.
func TxValue[T any](
	ctx context.Context, r *Runner, db DB, opts *sql.TxOptions, fn func(ctx context.Context, tx *sql.Tx) (T, error),
) (value T, err error) {
	if fn == nil {
		return value, errNoFunction
	}
	err = r.Tx(ctx, db, opts, func(ctx context.Context, tx *sql.Tx) (err error) {
		value, err = fn(ctx, tx)
		return err
	})
	return value, err
}

// A transaction is one of database/sql. Drivers run COMMIT and ROLLBACK under the context of
// BeginTx, and database/sql rolls back when it ends. That context is not the caller's, so
// that a ROLLBACK still works when the caller's has ended, and so that sql.ErrTxDone always
// means that the function ended the transaction.
type transaction struct {
	tx  *sql.Tx
	end context.CancelFunc // ends the context of BeginTx

	rolledBack sync.Once // also when the context ends while the function runs
	err        error     // of the rollback
}

func begin(ctx context.Context, db DB, opts *sql.TxOptions) (*transaction, error) {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	tx, err := db.BeginTx(own, opts)
	ended := !stop()
	if err == nil && !ended {
		return &transaction{tx: tx, end: end}, nil
	}
	if err == nil {
		_ = tx.Rollback() // nobody has used it
	}
	end()
	if ended && (err == nil || errors.Is(err, context.Canceled)) {
		return nil, ctxerr.Ended(ctx, "retrysql", "before the transaction had begun")
	}
	return nil, err
}

// Commit commits, or gives up when ctx ends. Then it says itself that the outcome is unknown:
// the cause of that end may be an error of another transaction, with a code of its own.
func (t *transaction) Commit(ctx context.Context) error {
	defer context.AfterFunc(ctx, t.end)()
	err := t.tx.Commit()
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return &CommitUnknownError{Err: ctxerr.Ended(ctx, "retrysql", "while COMMIT was under way")}
	}
	if err == nil {
		t.end()
	}
	return err
}

// Rollback rolls back once, and returns what that returned. Whoever calls it while another
// does waits for it.
func (t *transaction) Rollback(ctx context.Context) error {
	t.rolledBack.Do(func() {
		defer t.end()
		defer context.AfterFunc(ctx, t.end)()
		t.err = t.tx.Rollback()
	})
	return t.err
}
