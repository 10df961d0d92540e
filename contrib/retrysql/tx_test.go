package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestCommits(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	for _, r := range []*retrysql.Runner{nil, retrysql.MustNew(nil), runner(nil)} {
		fn, runs := insert(items)
		require.NoError(t, r.Tx(t.Context(), db, nil, fn))
		assert.Equal(t, 1, *runs)
	}
	assert.Equal(t, 3, count(t, db, items))

	readOnly := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	n, err := retrysql.TxValue(t.Context(), runner(), db, readOnly, func(ctx context.Context, tx *sql.Tx) (n int, err error) {
		assert.False(t, resilience.MayRetry(ctx), "no statement is repeated by itself")
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM "+items).Scan(&n)
		return n, err
	})
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	fn, runs := insert(items)
	err = runner().Tx(t.Context(), db, readOnly, fn)
	assert.Equal(t, "25006", resilience.ErrorType(err), "the options count")
	assert.Equal(t, 1, *runs)
}

func TestRollsBackOnError(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	fn, runs := insert(items)
	errOwn := errors.New("out of stock")
	n, err := retrysql.TxValue(t.Context(), runner(), db, nil, func(ctx context.Context, tx *sql.Tx) (int, error) {
		require.NoError(t, fn(ctx, tx))
		return 7, errOwn
	})
	assert.Equal(t, errOwn, err, "as it is")
	assert.Equal(t, 7, n)
	assert.Equal(t, 1, *runs)

	errBusy := resilience.Retryable(errors.New("busy"))
	err = runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		require.NoError(t, fn(ctx, tx))
		return errBusy
	})
	require.ErrorIs(t, err, errBusy)
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 1+4, *runs)
	assert.Zero(t, count(t, db, items))
	assert.Zero(t, db.Stats().InUse)
}

func TestRollsBackOnPanicAndGoexit(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	db.SetMaxOpenConns(1) // so that a transaction that is left open would be in the way
	items := table(t, db, 0)
	fn, runs := insert(items)
	leave := func(how func()) func() {
		return func() {
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			_ = runner().Tx(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
				assert.NoError(t, fn(ctx, tx))
				how()
				return nil
			})
		}
	}
	assert.PanicsWithValue(t, "boom", leave(func() { panic("boom") }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		leave(runtime.Goexit)()
	}()
	<-done
	assert.Equal(t, 2, *runs)
	assert.Zero(t, db.Stats().InUse)
	assert.Zero(t, count(t, db, items))
}

func TestFunctionEndsTheTransaction(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	errOwn := resilience.Retryable(errors.New("busy"))
	for _, tt := range []struct {
		name string
		end  func(*sql.Tx) error
		err  error
		rows int
	}{
		{"commit", (*sql.Tx).Commit, nil, 1},
		{"rollback", (*sql.Tx).Rollback, nil, 0},
		{"commit and fail", (*sql.Tx).Commit, errOwn, 1},
		{"rollback and fail", (*sql.Tx).Rollback, errOwn, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			items := table(t, db, 0)
			fn, runs := insert(items)
			err := runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
				require.NoError(t, fn(ctx, tx))
				require.NoError(t, tt.end(tx))
				return tt.err
			})
			require.ErrorContains(t, err, "retrysql: the function has ended the transaction by itself")
			require.ErrorIs(t, err, sql.ErrTxDone)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
			assert.Equal(t, "transaction_ended", resilience.ErrorType(err))
			assert.Equal(t, 1, *runs)
			assert.Equal(t, tt.rows, count(t, db, items))
		})
	}
}

func TestNestedTransactionsDoNotMultiply(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	runs := 0
	err := runner().Tx(t.Context(), db, nil, func(ctx context.Context, _ *sql.Tx) error {
		return runner().Tx(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
			runs++
			_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
			return err
		})
	})
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, 4, runs)
	assert.Equal(t, "40001", resilience.ErrorType(err))
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	_, err := retrysql.New(nil, retrysql.WithSQLState(nil))
	require.EqualError(t, err, "retrysql: sql_state: nil is not allowed: want a function")
	_, err = retrysql.New(nil, retrysql.WithClassifier(nil))
	require.EqualError(t, err, "retrysql: classifier: nil is not allowed: want a function")
	assert.Panics(t, func() { retrysql.MustNew(nil, retrysql.WithClassifier(nil)) })

	r, fn := runner(), func(context.Context, *sql.Tx) error { return nil }
	scan := func(*sql.Rows) (int, error) { return 0, nil }
	var nilDB *sql.DB
	var nilConn *sql.Conn
	for _, missing := range []retrysql.DB{nil, nilDB, nilConn} {
		_, execErr := r.Exec(t.Context(), missing, "")
		_, queryErr := r.Query(t.Context(), missing, "")
		_, collectErr := retrysql.Collect(t.Context(), r, missing, scan, "")
		for _, err := range []error{r.Tx(t.Context(), missing, nil, fn), execErr, queryErr, collectErr} {
			require.EqualError(t, err, "retrysql: the database is nil")
		}
	}
	_, txErr := retrysql.TxValue[int](t.Context(), r, db, nil, nil)
	_, collectErr := retrysql.Collect[int](t.Context(), r, db, nil, "")
	_, statementErr := retrysql.Statement[int](t.Context(), r, nil)
	_, readErr := retrysql.Read[int](t.Context(), r, nil)
	for _, err := range []error{
		r.Tx(t.Context(), db, nil, nil), txErr, collectErr, statementErr, readErr,
		retrysql.Run[retrysql.Transaction](t.Context(), r, nil, nil),
	} {
		require.EqualError(t, err, "retrysql: the function is nil")
	}
	//nolint:staticcheck // that is what is tested
	require.EqualError(t, r.Tx(nil, db, nil, fn), "retrysql: the context is nil")
}
