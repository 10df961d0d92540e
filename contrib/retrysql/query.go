package retrysql

import (
	"context"
	"database/sql"

	"github.com/observable-go/toolkit/resilience"
)

// Rows are [*sql.Rows] that outlive the attempt that made them. Close them, also after the
// last row has been read.
type Rows struct {
	*sql.Rows

	release context.CancelFunc
}

// Close closes the rows and frees what they hold. It may be called several times.
func (r *Rows) Close() error {
	defer r.release()
	return r.Rows.Close()
}

// Query runs a query outside of a transaction. It is for reading: a query that failed is
// repeated although it may have been run. What fails after Query has returned, while rows are
// read, is not repeated; [Collect] does that.
//
// The rows end with ctx, and not with the timeout of an attempt.
func (r *Runner) Query(ctx context.Context, db DB, query string, args ...any) (*Rows, error) {
	if isMissing(db) {
		return nil, errNoDatabase
	}
	return Read(ctx, r, func(ctx context.Context) (*Rows, error) {
		retained, release := resilience.Retain(ctx)
		rows, err := db.QueryContext(retained, query, args...) //nolint:rowserrcheck // whoever reads them does that
		if err != nil {
			release()
			return nil, err
		}
		return &Rows{rows, release}, nil
	})
}

// Collect reads all rows of a query: scan is called for each of them. It is for reading, as
// [Runner.Query]; if a row fails the whole query is repeated.
//
//	names, err := retrysql.Collect(ctx, runner, db, func(rows *sql.Rows) (name string, err error) {
//		return name, rows.Scan(&name)
//	}, "SELECT name FROM items")
func Collect[T any](
	ctx context.Context, r *Runner, db DB, scan func(rows *sql.Rows) (T, error), query string, args ...any,
) ([]T, error) {
	switch {
	case isMissing(db):
		return nil, errNoDatabase
	case scan == nil:
		return nil, errNoFunction
	}
	return Read(ctx, r, func(ctx context.Context) ([]T, error) {
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		defer func() { _ = rows.Close() }()
		var all []T
		for rows.Next() {
			value, err := scan(rows)
			if err != nil {
				return nil, err
			}
			all = append(all, value)
		}
		return all, rows.Err()
	})
}

// Read runs an operation that only reads, of any client, and repeats it on the failures that
// the package documentation names.
func Read[T any](ctx context.Context, r *Runner, op func(ctx context.Context) (T, error)) (value T, err error) {
	if op == nil {
		return value, errNoFunction
	}
	return do(ctx, r, func(ctx context.Context) (T, error) {
		value, err := op(ctx)
		return value, r.rules().failed(err)
	})
}
