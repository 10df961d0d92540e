package retrypgx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/resilience"
)

// A Beginner begins transactions: a *pgxpool.Pool, for instance. A *pgx.Conn serves too, but
// has no other connection to repeat anything on once its own is lost.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// isMissing reports whether there is no database.
func isMissing(db any) bool {
	switch db := db.(type) {
	case nil:
		return true
	case *pgxpool.Pool:
		return db == nil
	case *pgx.Conn:
		return db == nil
	}
	return false
}

// Tx runs fn in a transaction: it begins one, calls fn and commits. If fn returns an error,
// panics or leaves its goroutine the transaction is rolled back. It does for pgx what
// [retrysql.Runner.Tx] does for database/sql, with one exception: the transaction of a context
// that ended is rolled back when fn returns, as pgx does it.
func Tx(
	ctx context.Context, r *retrysql.Runner, db Beginner, options pgx.TxOptions, fn func(ctx context.Context, tx pgx.Tx) error,
) error {
	switch {
	case isMissing(db):
		return errNoDatabase
	case fn == nil:
		return errNoFunction
	}
	begin := func(ctx context.Context) (transaction, error) {
		tx, err := db.BeginTx(ctx, options)
		return transaction{tx}, err
	}
	return retrysql.Run(ctx, r, begin, func(ctx context.Context, t transaction) error { return fn(ctx, t.tx) })
}

// TxValue is [Tx] for a function with a value. The value of its last run is returned, beside
// an error too.
func TxValue[T any](
	ctx context.Context, r *retrysql.Runner, db Beginner, options pgx.TxOptions,
	fn func(ctx context.Context, tx pgx.Tx) (T, error),
) (value T, err error) {
	if fn == nil {
		return value, errNoFunction
	}
	err = Tx(ctx, r, db, options, func(ctx context.Context, tx pgx.Tx) (err error) {
		value, err = fn(ctx, tx)
		return err
	})
	return value, err
}

// A transaction is one of pgx for package retrysql.
type transaction struct{ tx pgx.Tx }

// isOver reports whether the function has sent COMMIT or ROLLBACK as a statement, which pgx
// does not notice. The server says so with each answer.
func (t transaction) isOver() bool {
	conn := t.tx.Conn()
	return conn != nil && !conn.IsClosed() && conn.PgConn().TxStatus() == 'I'
}

// Commit says so if nothing could be sent. The word of pgx for that, SafeToRetry, does not tell
// it from a connection that broke after COMMIT was sent.
func (t transaction) Commit(ctx context.Context) error {
	if t.isOver() {
		return translated(pgx.ErrTxClosed)
	}
	closed, busy := false, false
	if conn := t.tx.Conn(); conn != nil {
		closed, busy = conn.IsClosed(), conn.PgConn().IsBusy()
	}
	err := translated(t.tx.Commit(ctx))
	switch {
	case err != nil && closed:
		return noEffectError{err}
	case err != nil && busy:
		return noEffectError{resilience.Permanent(fmt.Errorf("retrypgx: the function has left rows open: %w", err))}
	}
	return err
}

func (t transaction) Rollback(ctx context.Context) error {
	over := t.isOver()
	err := t.tx.Rollback(ctx) // frees the connection in any case
	if err == nil && over {
		err = pgx.ErrTxClosed
	}
	return translated(err)
}

// translated says in the words of database/sql that a transaction was over.
func translated(err error) error {
	if errors.Is(err, pgx.ErrTxClosed) {
		return fmt.Errorf("%w: %w", sql.ErrTxDone, err)
	}
	return err
}

// A noEffectError says of an error that there was no effect.
type noEffectError struct{ error }

func (e noEffectError) Unwrap() error { return e.error }
func (noEffectError) NoEffect() bool  { return true }

var (
	errNoDatabase = resilience.Permanent(errors.New("retrypgx: the database is nil"))
	errNoFunction = resilience.Permanent(errors.New("retrypgx: the function is nil"))
)
