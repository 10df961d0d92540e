package retrysql_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestExec(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 2)
	result, err := runner().Exec(t.Context(), db, "UPDATE "+items+" SET value = $1", 7)
	require.NoError(t, err)
	affected, err := result.RowsAffected()
	require.NoError(t, err)
	assert.Equal(t, int64(2), affected)
	assert.Zero(t, db.Stats().InUse)

	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = runner().Exec(t.Context(), conn, "DELETE FROM "+items)
	require.NoError(t, err)
	assert.Zero(t, count(t, db, items))
	require.NoError(t, conn.Close())

	_, err = runner().Exec(t.Context(), db, "SELECT 1/0")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.Equal(t, "22012", resilience.ErrorType(err))
}

// A statement whose context ends while it waits for a connection was not sent.
func TestExecWaitsForAConnection(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = retrysql.MustNew(nil).Exec(ctx, db, "SELECT 1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, resilience.ClassRetryable, resilience.Classify(err))
	require.NoError(t, conn.Close())
}

func TestExecIsRetriedAfterARollback(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	exec(t, db, "CREATE SEQUENCE "+items+"_runs")
	_, err := runner().Exec(t.Context(), db, fmt.Sprintf(`DO $$ BEGIN
		INSERT INTO %s VALUES (1);
		IF nextval('%s_runs') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;
	END $$`, items, items))
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, db, items))
}

// The connection breaks after the statement was executed, or before: nobody knows which.
func TestExecWithoutAnswer(t *testing.T) {
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
			db := open(t, proxy.URL())
			items := table(t, direct, 0)
			statement := "INSERT INTO " + items + " VALUES (1) " + pgtest.Marked
			proxy.Disturb(tt.cut, 1)
			_, err := runner().Exec(t.Context(), db, statement)
			assertUnknown(t, err)
			assert.Equal(t, tt.rows, count(t, direct, items), "nobody repeated it, nor did database/sql")

			items = table(t, direct, 0)
			proxy.Disturb(tt.cut, 1)
			_, err = runner(retrysql.WithIdempotent()).Exec(t.Context(), db, "INSERT INTO "+items+" VALUES (1) "+pgtest.Marked)
			require.NoError(t, err)
			assert.Equal(t, tt.idempotent, count(t, direct, items))
		})
	}
}

// This is why Exec takes a connection by itself. If it fails one day pgx has changed: then see
// saysNoEffect too.
func TestPoolsRepeatStatementsThatWereExecuted(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	items := table(t, direct, 0)
	proxy.Disturb(pgtest.AfterCommit, 2)
	_, err := open(t, proxy.URL()).ExecContext(t.Context(), "INSERT INTO "+items+" VALUES (1) "+pgtest.Marked)
	require.NoError(t, err)
	assert.Equal(t, 3, count(t, direct, items), "one statement, three rows")
}

func TestExecWithoutServer(t *testing.T) {
	t.Parallel()
	db := open(t, "postgres://postgres@127.0.0.1:1/postgres?sslmode=disable")
	_, err := runner().Exec(t.Context(), db, "SELECT 1")
	require.ErrorIs(t, err, retry.ErrExhausted, "it is known that nothing was executed")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	failure, ok := errors.AsType[*pgconn.ConnectError](err)
	require.True(t, ok, failure)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = retrysql.MustNew(nil).Exec(ctx, db, "SELECT 1")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "before the statement")
}
