package retrypgx_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// policy returns a policy of up to 3 retries that waits for nothing.
func policy(opts ...retry.Option) *retry.Policy {
	return retry.MustNew("test", append([]retry.Option{retry.WithInitialDelay(0)}, opts...)...)
}

func runner(opts ...retrysql.Option) *retrysql.Runner { return retrysql.MustNew(policy(), opts...) }

var tables atomic.Int64

// table makes an empty table of its own for the test.
func table(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	name := fmt.Sprintf("t%d", tables.Add(1))
	exec(t, pool, fmt.Sprintf("CREATE TABLE %s (id int)", name))
	return name
}

func exec(t *testing.T, pool *pgxpool.Pool, query string, args ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), query, args...)
	require.NoError(t, err, query)
}

// count returns how many rows a table has.
func count(t *testing.T, pool *pgxpool.Pool, table string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// insert returns a function for a transaction that adds a row, and the number of its runs.
func insert(table string) (fn func(context.Context, pgx.Tx) error, runs *int) {
	runs = new(int)
	return func(ctx context.Context, tx pgx.Tx) error {
		*runs++
		_, err := tx.Exec(ctx, "INSERT INTO "+table+" VALUES (1)")
		return err
	}, runs
}

// assertUnknown checks that err says that nobody knows whether the transaction happened.
func assertUnknown(t *testing.T, err error) {
	t.Helper()
	var unknown *retrysql.CommitUnknownError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "commit_unknown", resilience.ErrorType(err))
}
