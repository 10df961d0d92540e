package retrysql_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestAdministratorEndsTheSession(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	fn, runs := insert(items)
	require.NoError(t, runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if *runs > 2 {
			return nil
		}
		var pid int
		require.NoError(t, tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid))
		exec(t, db, "SELECT pg_terminate_backend($1, 10000)", pid)
		return fn(ctx, tx)
	}))
	assert.Equal(t, 3, *runs, "two in the first attempt, the last of which failed")
	assert.Equal(t, 1, count(t, db, items))

	// A session that is ended before COMMIT looks to the client like one that is ended by it.
	*runs = 0
	err := runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		require.NoError(t, fn(ctx, tx))
		var pid int
		require.NoError(t, tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid))
		exec(t, db, "SELECT pg_terminate_backend($1, 10000)", pid)
		return nil
	})
	assertUnknown(t, err)
	assert.Equal(t, 1, *runs)
	assert.Equal(t, 1, count(t, db, items))
}

func TestConnectionBreaksBeforeCommit(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	db := open(t, proxy.URL())
	items := table(t, direct, 0)
	fn, runs := insert(items)
	require.NoError(t, runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		require.NoError(t, fn(ctx, tx))
		if *runs < 3 {
			proxy.Break()
		}
		_, err := tx.ExecContext(ctx, "SELECT 1")
		return err
	}))
	assert.Equal(t, 3, *runs)
	assert.Equal(t, 1, count(t, direct, items))
}

// It is no parallel test, so no other one needs the server meanwhile.
func TestServerRestarts(t *testing.T) { //nolint:paralleltest // the others share the server
	db := open(t, server.URL())
	items := table(t, db, 0)
	fn, runs := insert(items)
	r := retrysql.MustNew(policy(retry.WithInitialDelay(20*time.Millisecond), retry.WithExponentialBase(1), retry.WithMaxRetries(500)))
	started := make(chan error, 1)
	require.NoError(t, r.Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if err := fn(ctx, tx); err != nil || *runs > 1 {
			return err
		}
		server.Stop()
		go func() { started <- server.Start() }()
		_, err := tx.ExecContext(ctx, "SELECT 1")
		return err
	}))
	require.NoError(t, <-started)
	assert.Equal(t, 2, *runs)
	assert.Equal(t, 1, count(t, db, items))
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	fn, runs := insert("nothing")
	err := runner().Tx(t.Context(), open(t, "postgres://postgres@127.0.0.1:1/postgres?sslmode=disable"), nil, fn)
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, "connection_refused", resilience.ErrorType(err))
	assert.Zero(t, *runs)
}

func TestTooManyConnectionsIsThrottled(t *testing.T) {
	t.Parallel()
	exec(t, open(t, server.URL()), "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
	db := open(t, "postgres://crowded@"+server.Addr()+"/postgres?sslmode=disable")
	fn, _ := insert("nothing")
	err := runner().Tx(t.Context(), db, nil, fn)
	require.ErrorIs(t, err, retry.ErrExhausted)
	assert.Equal(t, "53300", resilience.ErrorType(err))
	assert.True(t, resilience.Throttled(err))
}

func TestPoolIsExhausted(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	db.SetMaxOpenConns(1)
	held, err := db.Conn(t.Context())
	require.NoError(t, err)
	fn, runs := insert("nothing")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = runner().Tx(ctx, db, nil, fn)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "before the transaction had begun")
	err = retrysql.MustNew(policy(retry.WithAttemptTimeout(10*time.Millisecond))).Tx(t.Context(), db, nil, fn)
	require.ErrorIs(t, err, retry.ErrExhausted)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, "timeout", resilience.ErrorType(err))
	assert.Zero(t, *runs)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, retrysql.MustNew(nil).Tx(canceled, db, nil, fn), context.Canceled)
	require.NoError(t, held.Close())
	require.NoError(t, runner().Tx(t.Context(), db, nil, func(context.Context, *sql.Tx) error { return nil }))
}
