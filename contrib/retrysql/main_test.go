package retrysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// open returns a pool of connections to url.
func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// policy returns a policy of up to 3 retries that waits for nothing.
func policy(opts ...retry.Option) *retry.Policy {
	return retry.MustNew("test", append([]retry.Option{retry.WithInitialDelay(0)}, opts...)...)
}

func runner(opts ...retrysql.Option) *retrysql.Runner { return retrysql.MustNew(policy(), opts...) }

var tables atomic.Int64

// table makes a table of its own for the test, with the rows 1 to n of value 0.
func table(t *testing.T, db *sql.DB, n int) string {
	t.Helper()
	name := fmt.Sprintf("t%d", tables.Add(1))
	exec(t, db, fmt.Sprintf("CREATE TABLE %s (id int, value int DEFAULT 0)", name))
	exec(t, db, fmt.Sprintf("INSERT INTO %s SELECT generate_series(1, $1)", name), n)
	return name
}

func exec(t *testing.T, db retrysql.DB, query string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), query, args...)
	require.NoError(t, err, query)
}

// count returns how many rows a table has.
func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// insert returns a function for a transaction that adds a row, and the number of its runs.
func insert(table string) (fn func(context.Context, *sql.Tx) error, runs *int) {
	runs = new(int)
	return func(ctx context.Context, tx *sql.Tx) error {
		*runs++
		_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" VALUES (1)")
		return err
	}, runs
}

// endable returns a policy that ends the context of its first attempt when end is called, and
// repeats what is not permanent for another reason than that.
func endable() (policy resilience.Policy, end func()) {
	first := make(chan context.CancelFunc, 1)
	policy = resilience.PolicyFunc(func(ctx context.Context, op resilience.Operation) error {
		attempt, cancel := context.WithCancel(ctx)
		defer cancel()
		first <- cancel
		err := op(attempt)
		knowing := resilience.Rules{WithoutKnown: true, Unknown: resilience.ClassRetryable}
		if err == nil || knowing.Classify(err) != resilience.ClassRetryable {
			return err
		}
		return op(ctx)
	})
	return policy, func() { (<-first)() }
}
