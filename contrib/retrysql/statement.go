package retrysql

import (
	"context"
	"database/sql"

	"github.com/observable-go/toolkit/internal/ctxerr"
)

// Exec runs a statement outside of a transaction. It is a transaction of its own, and its
// answer that of a COMMIT: it is repeated only if it is known to have had no effect, as it
// was not sent or the server says so, or if the runner was made with [WithIdempotent]. If
// nobody knows the error is a [*CommitUnknownError].
//
// It is not for statements that commit by themselves what they do, such as CALL of a
// procedure with COMMIT, of which a failure says little.
func (r *Runner) Exec(ctx context.Context, db DB, query string, args ...any) (sql.Result, error) {
	if isMissing(db) {
		return nil, errNoDatabase
	}
	return Statement(ctx, r, func(ctx context.Context) (sql.Result, error) {
		return execOnce(ctx, db, query, args)
	})
}

// execOnce runs a statement once. A pool repeats by itself what fails with driver.ErrBadConn,
// which may have been executed in spite of that; a connection of it does not.
func execOnce(ctx context.Context, db DB, query string, args []any) (sql.Result, error) {
	pool, ok := db.(interface {
		Conn(ctx context.Context) (*sql.Conn, error)
	})
	if !ok {
		return db.ExecContext(ctx, query, args...)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, noEffectError{err}
	}
	defer func() { _ = conn.Close() }()
	return conn.ExecContext(ctx, query, args...)
}

// Statement is [Runner.Exec] for other clients than database/sql: exec runs one statement. An
// error with a method NoEffect() bool that returns true says that it had none.
func Statement[T any](ctx context.Context, r *Runner, exec func(ctx context.Context) (T, error)) (value T, err error) {
	if exec == nil {
		return value, errNoFunction
	}
	return do(ctx, r, func(ctx context.Context) (T, error) {
		if ctx.Err() != nil {
			return value, ctxerr.Ended(ctx, "retrysql", "before the statement")
		}
		value, err := exec(ctx)
		return value, r.rules().effectFailed(err)
	})
}
