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

// many has 20,000 rows, which are more than fits into the buffers between server and client.
const many = "SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n"

func scanInt(rows *sql.Rows) (n int, err error) {
	var rest any
	err = rows.Scan(&n, &rest)
	return n, err
}

func TestRowsOutliveTheAttempt(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	r := retrysql.MustNew(policy(retry.WithAttemptTimeout(time.Minute)))
	rows, err := r.Query(t.Context(), db, many)
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		n++
	}
	require.NoError(t, rows.Err())
	assert.Equal(t, 20000, n)
	require.NoError(t, rows.Close())
	require.NoError(t, rows.Close())
	assert.Zero(t, db.Stats().InUse)

	ctx, cancel := context.WithCancel(t.Context())
	rows, err = r.Query(ctx, db, many)
	require.NoError(t, err)
	require.True(t, rows.Next())
	cancel()
	n = 0
	for rows.Next() {
		n++
	}
	assert.Less(t, n, 20000, "but not the caller")
	require.ErrorIs(t, rows.Err(), context.Canceled)
	if err := rows.Close(); err != nil { // it depends on who was faster: this, or database/sql at the end of ctx
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestQueryIsRetried(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	db := open(t, proxy.URL())
	require.NoError(t, db.PingContext(t.Context()))
	proxy.Disturb(pgtest.AfterCommit, 2)
	rows, err := runner().Query(t.Context(), db, "SELECT 7, 0 "+pgtest.Marked)
	require.NoError(t, err)
	require.True(t, rows.Next())
	n, err := scanInt(rows.Rows)
	require.NoError(t, err)
	assert.Equal(t, 7, n)
	require.NoError(t, rows.Close())
	require.NoError(t, rows.Err())

	_, err = runner().Query(t.Context(), direct, "SELECT 1/0")
	assert.Equal(t, "22012", resilience.ErrorType(err))
	_, err = runner().Query(t.Context(), direct, "SELECT FROM nowhere")
	assert.Equal(t, "42P01", resilience.ErrorType(err))
	assert.Zero(t, direct.Stats().InUse)
}

// The connection breaks while rows are read: all of them are read again.
func TestCollectIsRetried(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, server)
	db := open(t, proxy.URL())
	scanned := 0
	all, err := retrysql.Collect(t.Context(), runner(), db, func(rows *sql.Rows) (int, error) {
		if scanned++; scanned == 10 {
			proxy.Break()
		}
		return scanInt(rows)
	}, many)
	require.NoError(t, err)
	assert.Greater(t, scanned, 20000)
	require.Len(t, all, 20000)
	assert.Equal(t, 1, all[0])
	assert.Equal(t, 20000, all[len(all)-1])

	_, err = retrysql.Collect(t.Context(), runner(), db, func(rows *sql.Rows) (string, error) {
		var date time.Time
		return "", rows.Scan(&date)
	}, "SELECT 'x'")
	require.ErrorContains(t, err, "Scan error")
	_, err = retrysql.Collect(t.Context(), runner(), db, scanInt, "SELECT 1/0")
	assert.Equal(t, "22012", resilience.ErrorType(err))
	assert.Zero(t, db.Stats().InUse)
}
