package retrypgx_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/contrib/retrysql/retrypgx"
	"github.com/observable-go/toolkit/resilience"
)

func TestCommits(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	items := table(t, pool)
	fn, runs := insert(items)
	require.NoError(t, retrypgx.Tx(t.Context(), nil, pool, pgx.TxOptions{}, fn))
	n, err := retrypgx.TxValue(t.Context(), runner(), pool, pgx.TxOptions{AccessMode: pgx.ReadOnly},
		func(ctx context.Context, tx pgx.Tx) (n int, err error) {
			assert.False(t, resilience.MayRetry(ctx))
			err = tx.QueryRow(ctx, "SELECT count(*) FROM "+items).Scan(&n)
			return n, err
		})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, *runs)
	assert.Equal(t, 1, count(t, pool, items))
	err = retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, fn)
	assert.Equal(t, "25006", resilience.ErrorType(err))
	assert.Zero(t, pool.Stat().AcquiredConns())
}

func TestRollsBack(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	items := table(t, pool)
	fn, runs := insert(items)
	errOwn := errors.New("own")
	leave := func(how func() error) error {
		return retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			assert.NoError(t, fn(ctx, tx))
			return how()
		})
	}
	assert.Equal(t, errOwn, leave(func() error { return errOwn }), "as it is")
	assert.PanicsWithValue(t, "boom", func() { _ = leave(func() error { panic("boom") }) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = leave(func() error { runtime.Goexit(); return nil })
	}()
	<-done
	assert.Equal(t, 3, *runs)
	assert.Zero(t, count(t, pool, items))
	assert.Zero(t, pool.Stat().AcquiredConns())
	assert.Equal(t, int64(1), pool.Stat().NewConnsCount(), "each ROLLBACK left the connection fit for use")
}

func TestFunctionEndsTheTransaction(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	errBusy := resilience.Retryable(errors.New("busy"))
	for _, tt := range []struct {
		name string
		end  func(pgx.Tx, context.Context) error
		err  error
		rows int
	}{
		{"commit", pgx.Tx.Commit, nil, 1},
		{"rollback", pgx.Tx.Rollback, nil, 0},
		{"commit and fail", pgx.Tx.Commit, errBusy, 1},
		{"rollback and fail", pgx.Tx.Rollback, errBusy, 0},
		{"COMMIT", send("COMMIT"), nil, 1},
		{"ROLLBACK", send("ROLLBACK"), nil, 0},
		{"COMMIT and fail", send("COMMIT"), errBusy, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			items := table(t, pool)
			fn, runs := insert(items)
			err := retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				require.NoError(t, fn(ctx, tx))
				require.NoError(t, tt.end(tx, ctx))
				return tt.err
			})
			require.ErrorContains(t, err, "the function has ended the transaction by itself")
			require.ErrorIs(t, err, pgx.ErrTxClosed)
			require.ErrorIs(t, err, sql.ErrTxDone)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			assert.Equal(t, 1, *runs)
			assert.Equal(t, tt.rows, count(t, pool, items))
		})
	}
}

// send returns a function that ends a transaction by a statement, which pgx does not notice.
func send(statement string) func(pgx.Tx, context.Context) error {
	return func(tx pgx.Tx, ctx context.Context) error {
		_, err := tx.Exec(ctx, statement)
		return err
	}
}

func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	direct := open(t, server.URL())
	for _, tt := range []struct {
		name             string
		cut              pgtest.Cut
		rows, idempotent int
	}{
		{"before", pgtest.BeforeCommit, 0, 1},
		{"after", pgtest.AfterCommit, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, server)
			pool, items := open(t, proxy.URL()), table(t, direct)
			fn, runs := insert(items)
			proxy.Disturb(tt.cut, 1)
			err := retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, fn)
			assertUnknown(t, err)
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
			assert.Equal(t, 1, *runs)
			assert.Equal(t, tt.rows, count(t, direct, items))

			items = table(t, direct)
			fn, runs = insert(items)
			proxy.Disturb(tt.cut, 1)
			require.NoError(t, retrypgx.Tx(t.Context(), runner(retrysql.WithIdempotent()), pool, pgx.TxOptions{}, fn))
			assert.Equal(t, 2, *runs)
			assert.Equal(t, tt.idempotent, count(t, direct, items))
		})
	}
}

// It is why the word of pgx is not taken for it that nothing was sent.
func TestSafeToRetryAfterExecution(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	items := table(t, direct)
	proxy.Disturb(pgtest.AfterCommit, 1)
	_, err := open(t, proxy.URL()).Exec(t.Context(), "INSERT INTO "+items+" VALUES (1) "+pgtest.Marked)
	assert.True(t, pgconn.SafeToRetry(err), "if not, pgx has changed: see Commit")
	assert.Equal(t, 1, count(t, direct, items))
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	pool, items := open(t, proxy.URL()), table(t, direct)
	fn, runs := insert(items)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-proxy.Answered
		cancel()
	}()
	proxy.Disturb(pgtest.HoldAnswer, 1)
	err := retrypgx.Tx(ctx, runner(), pool, pgx.TxOptions{}, fn)
	assertUnknown(t, err)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, *runs)
	assert.Equal(t, 1, count(t, direct, items))

	*runs = 0
	pool = open(t, server.URL())
	var end context.CancelFunc
	twice := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		var attempt context.Context
		attempt, end = context.WithCancel(ctx)
		require.ErrorIs(t, op(attempt), context.Canceled)
		return op(ctx)
	})
	r := retrysql.MustNew(twice)
	require.NoError(t, retrypgx.Tx(t.Context(), r, pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		err := fn(ctx, tx)
		if *runs == 1 {
			end() // so COMMIT is not sent
		}
		return err
	}))
	assert.Equal(t, 2, *runs)
	assert.Equal(t, 2, count(t, direct, items))
	assert.Equal(t, int64(1), pool.Stat().NewConnsCount(), "ROLLBACK had a context that works")
}

func TestConflictAtCommitIsRetried(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	items := table(t, pool)
	serializable := pgx.TxOptions{IsoLevel: pgx.Serializable}
	add := func(ctx context.Context, tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+items).Scan(&n); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO "+items+" VALUES ($1)", n)
		return err
	}
	runs := 0
	require.NoError(t, retrypgx.Tx(t.Context(), runner(), pool, serializable, func(ctx context.Context, tx pgx.Tx) error {
		runs++
		if err := add(ctx, tx); err != nil || runs > 1 {
			return err
		}
		return retrypgx.Tx(ctx, nil, pool, serializable, add)
	}))
	assert.Equal(t, 2, runs)
	ids, err := retrypgx.Collect(t.Context(), runner(), pool, pgx.RowTo[int], "SELECT id FROM "+items+" ORDER BY id")
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1}, ids)
}

func TestCommitAnsweredByRollback(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	fn, runs := insert(table(t, pool))
	err := retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, fn(ctx, tx))
		_, err := tx.Exec(ctx, "SELECT 1/0")
		require.Error(t, err) // and is not returned
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
	assert.Equal(t, "25P02", resilience.ErrorType(err))
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.Equal(t, 1, *runs)
}

func TestRowsLeftOpen(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	items := table(t, pool)
	fn, runs := insert(items)
	err := retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, fn(ctx, tx))
		_, err := tx.Query(ctx, "SELECT 1") //nolint:sqlclosecheck // left open
		return err
	})
	require.ErrorContains(t, err, "retrypgx: the function has left rows open: conn busy")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.Equal(t, 1, *runs)
	assert.Zero(t, count(t, pool, items))
	assertReleased(t, pool)
}

func TestConnectionBreaksBeforeCommit(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	pool, items := open(t, proxy.URL()), table(t, direct)
	fn, runs := insert(items)
	require.NoError(t, retrypgx.Tx(t.Context(), runner(), pool, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, fn(ctx, tx))
		switch *runs {
		case 1:
			proxy.Break()
			_, err := tx.Exec(ctx, "SELECT $1::int", 1)
			return err
		case 2:
			_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		case 3:
			proxy.Break()
			_, err := tx.Exec(ctx, "SELECT 1")
			require.Error(t, err) // and is not returned: there is no connection for COMMIT
		}
		return nil
	}))
	assert.Equal(t, 4, *runs)
	assert.Equal(t, 1, count(t, direct, items))
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL())
	_, execErr := retrypgx.Exec(t.Context(), nil, nil, "")
	_, collectErr := retrypgx.Collect(t.Context(), nil, nil, pgx.RowTo[int], "")
	txErr := retrypgx.Tx(t.Context(), nil, nil, pgx.TxOptions{}, func(context.Context, pgx.Tx) error { return nil })
	noPool := (*pgxpool.Pool)(nil)
	_, noPoolErr := retrypgx.Exec(t.Context(), nil, noPool, "")
	_, noConnErr := retrypgx.Collect(t.Context(), nil, (*pgx.Conn)(nil), pgx.RowTo[int], "")
	noTxErr := retrypgx.Tx(t.Context(), nil, noPool, pgx.TxOptions{}, func(context.Context, pgx.Tx) error { return nil })
	for _, err := range []error{execErr, collectErr, txErr, noPoolErr, noConnErr, noTxErr} {
		require.EqualError(t, err, "retrypgx: the database is nil")
	}
	_, valueErr := retrypgx.TxValue[int](t.Context(), nil, pool, pgx.TxOptions{}, nil)
	_, collectErr = retrypgx.Collect[int](t.Context(), nil, pool, nil, "")
	for _, err := range []error{retrypgx.Tx(t.Context(), nil, pool, pgx.TxOptions{}, nil), valueErr, collectErr} {
		require.EqualError(t, err, "retrypgx: the function is nil")
	}
}
