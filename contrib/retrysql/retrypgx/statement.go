package retrypgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/observable-go/toolkit/contrib/retrysql"
)

// An Execer runs statements: a *pgxpool.Pool or a *pgx.Conn.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// A Querier runs queries: a *pgxpool.Pool or a *pgx.Conn.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Exec runs a statement outside of a transaction. As [retrysql.Runner.Exec] it is repeated
// only if it is known to have had no effect, or if r was made with [retrysql.WithIdempotent].
func Exec(ctx context.Context, r *retrysql.Runner, db Execer, sql string, args ...any) (pgconn.CommandTag, error) {
	if isMissing(db) {
		return pgconn.CommandTag{}, errNoDatabase
	}
	return retrysql.Statement(ctx, r, func(ctx context.Context) (pgconn.CommandTag, error) {
		return execOnce(ctx, db, sql, args)
	})
}

// execOnce runs a statement once, and says so if there was no connection for it.
func execOnce(ctx context.Context, db Execer, sql string, args []any) (pgconn.CommandTag, error) {
	if pool, ok := db.(*pgxpool.Pool); ok {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return pgconn.CommandTag{}, noEffectError{err}
		}
		defer conn.Release()
		return conn.Exec(ctx, sql, args...)
	}
	tag, err := db.Exec(ctx, sql, args...)
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return tag, noEffectError{err}
	}
	return tag, err
}

// Collect reads all rows of a query, each with scan, such as pgx.RowToStructByName. It is for
// reading: a query that failed is repeated as a whole, although it may have been run.
func Collect[T any](
	ctx context.Context, r *retrysql.Runner, db Querier, scan pgx.RowToFunc[T], sql string, args ...any,
) ([]T, error) {
	switch {
	case isMissing(db):
		return nil, errNoDatabase
	case scan == nil:
		return nil, errNoFunction
	}
	return retrysql.Read(ctx, r, func(ctx context.Context) ([]T, error) {
		rows, err := db.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, scan)
	})
}
