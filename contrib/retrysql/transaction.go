package retrysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/observable-go/toolkit/internal/clock"
	"github.com/observable-go/toolkit/internal/ctxerr"
	"github.com/observable-go/toolkit/resilience"
)

// A Transaction is one that has begun, of any client. The errors of its methods are
// [sql.ErrTxDone] if it has been committed or rolled back before.
type Transaction interface {
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}

// Run is [Runner.Tx] for transactions of another client than database/sql: begin starts one,
// fn uses it, and Run ends it. A Commit that fails is taken for one with an unknown outcome,
// unless its error names a SQLSTATE that says otherwise, or has a method NoEffect() bool that
// returns true, as of a connection that was closed before. A Rollback has a context that ends
// after 5s.
func Run[T Transaction](
	ctx context.Context, r *Runner, begin func(ctx context.Context) (T, error), fn func(ctx context.Context, tx T) error,
) error {
	if begin == nil || fn == nil {
		return errNoFunction
	}
	_, err := do(ctx, r, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, attempt(ctx, r.rules(), begin, fn)
	})
	return err
}

// attempt runs one transaction.
func attempt[T Transaction](
	ctx context.Context, s *settings, begin func(context.Context) (T, error), fn func(context.Context, T) error,
) error {
	tx, err := begin(ctx)
	if err != nil {
		return s.failed(err)
	}
	ended := false
	defer func() {
		if !ended { // the function panicked or left the goroutine
			_ = rollback(ctx, tx)
		}
	}()
	err = fn(resilience.NoRetry(ctx), tx)
	if err == nil && ctx.Err() != nil {
		err = ctxerr.Ended(ctx, "retrysql", "before COMMIT")
	}
	if err != nil {
		ended = true
		if done := rollback(ctx, tx); errors.Is(done, sql.ErrTxDone) {
			return endedByFunction(done, err)
		}
		return s.failed(err) // whatever else the rollback said: a connection that is lost ends the transaction too
	}
	err = tx.Commit(ctx)
	ended = true
	if err != nil {
		_ = rollback(ctx, tx) // frees the connection if COMMIT did not
		return s.commitFailed(err)
	}
	return nil
}

// rollbackTimeout bounds a ROLLBACK, as that of a context that has ended is no bound.
const rollbackTimeout = 5 * time.Second

var errRollbackTimeout = errors.New("retrysql: ROLLBACK took longer than 5s")

// rollback rolls tx back, also if ctx has ended.
func rollback(ctx context.Context, tx Transaction) error {
	ctx, cancel := clock.WithTimeoutCause(context.WithoutCancel(ctx), nil, rollbackTimeout, errRollbackTimeout)
	defer cancel()
	return tx.Rollback(ctx)
}
