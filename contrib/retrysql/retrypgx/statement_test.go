package retrypgx_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/contrib/retrysql/retrypgx"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestExec(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	pool, items := open(t, proxy.URL()), table(t, direct)
	statement := "INSERT INTO " + items + " VALUES (1) " + pgtest.Marked
	tag, err := retrypgx.Exec(t.Context(), runner(), pool, statement)
	require.NoError(t, err)
	assert.Equal(t, int64(1), tag.RowsAffected())

	proxy.Disturb(pgtest.AfterCommit, 1)
	_, err = retrypgx.Exec(t.Context(), runner(), pool, statement)
	assertUnknown(t, err)
	assert.Equal(t, 2, count(t, direct, items))

	proxy.Disturb(pgtest.AfterCommit, 1)
	_, err = retrypgx.Exec(t.Context(), runner(retrysql.WithIdempotent()), pool, statement)
	require.NoError(t, err)
	assert.Equal(t, 4, count(t, direct, items))

	exec(t, direct, "CREATE SEQUENCE "+items+"_runs")
	_, err = retrypgx.Exec(t.Context(), runner(), pool, fmt.Sprintf(
		"DO $$ BEGIN IF nextval('%s_runs') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF; END $$", items))
	require.NoError(t, err)

	_, err = retrypgx.Exec(t.Context(), runner(), open(t, "postgres://postgres@127.0.0.1:1/postgres?sslmode=disable"), "SELECT 1")
	require.ErrorIs(t, err, retry.ErrExhausted, "it is known that nothing was executed")
	assert.Equal(t, "connection_refused", resilience.ErrorType(err))
}

// A statement whose context ends while it waits for a connection was not sent.
func TestExecWaitsForAConnection(t *testing.T) {
	t.Parallel()
	pool := open(t, server.URL()+"&pool_max_conns=1")
	items := table(t, pool)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	attempts := 0
	twice := resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		attempt, end := context.WithTimeout(ctx, time.Millisecond)
		defer end()
		err := op(attempt)
		attempts++
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
		conn.Release()
		return op(ctx)
	})
	_, err = retrypgx.Exec(t.Context(), retrysql.MustNew(twice), pool, "INSERT INTO "+items+" VALUES (1)")
	require.NoError(t, err)
	assert.Equal(t, 1, attempts)
	assert.Equal(t, 1, count(t, pool, items))
}

func TestCollect(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, server)
	pool := open(t, proxy.URL())
	scanned := 0
	r := retrysql.MustNew(policy(retry.WithAttemptTimeout(time.Minute)))
	all, err := retrypgx.Collect(t.Context(), r, pool, func(row pgx.CollectableRow) (n int, err error) {
		if scanned++; scanned == 10 {
			proxy.Break()
		}
		err = row.Scan(&n, nil)
		return n, err
	}, "SELECT n, repeat('x', 1000) FROM generate_series(1, $1::int) n", 20000) // more than the buffers hold
	require.NoError(t, err)
	require.Len(t, all, 20000)
	assert.Greater(t, scanned, 20000)
	assert.Equal(t, 20000, all[len(all)-1])

	_, err = retrypgx.Collect(t.Context(), runner(), pool, pgx.RowTo[int], "SELECT 1/0")
	assert.Equal(t, "22012", resilience.ErrorType(err))
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assertReleased(t, pool)
}

func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	direct := open(t, server.URL())
	items := table(t, direct)
	pool := open(t, server.URL()+"&application_name=leaks&pool_max_conns=8")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 125 {
				leave(t, func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "INSERT INTO "+items+" VALUES (1)")
					require.NoError(t, err)
					switch n := worker*125 + i; {
					case n%50 == 0:
						_, err = tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
						return resilience.Permanent(err)
					case n%5 == 0:
						panic("boom")
					case n%5 == 1:
						runtime.Goexit()
					case n%50 == 2:
						_, err := tx.Query(ctx, "SELECT generate_series(1, 1000)") //nolint:sqlclosecheck // left open
						return errors.Join(err, errors.New("own"))
					}
					return errors.New("own")
				}, pool)
			}
		})
	}
	all.Wait()
	assertReleased(t, pool)
	assert.LessOrEqual(t, pool.Stat().TotalConns(), int32(8))
	assert.Zero(t, count(t, direct, items))
	var open int
	require.NoError(t, direct.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity "+
		"WHERE application_name = 'leaks' AND xact_start IS NOT NULL").Scan(&open))
	assert.Zero(t, open)
}

// leave runs a transaction in a goroutine that it may leave in any way.
func leave(t *testing.T, fn func(context.Context, pgx.Tx) error, db retrypgx.Beginner) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		assert.Error(t, retrypgx.Tx(t.Context(), runner(), db, pgx.TxOptions{}, fn))
	}()
	<-done
}

// assertReleased waits until no connection is in use: a pool closes broken ones behind our back.
func assertReleased(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	assert.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 0 }, 10*time.Second, time.Millisecond)
}
