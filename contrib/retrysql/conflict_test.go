package retrysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// Two transactions that each see what the other does not write yet: PostgreSQL rejects one
// of them, here when it commits.
func TestWriteSkewIsRetriedAlsoAtCommit(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 2)
	serializable := &sql.TxOptions{Isolation: sql.LevelSerializable}
	takeOne := func(ctx context.Context, tx *sql.Tx, id int) error {
		var taken int
		if err := tx.QueryRowContext(ctx, "SELECT sum(value) FROM "+items).Scan(&taken); err != nil {
			return err
		}
		if taken > 0 {
			return nil // somebody else has one
		}
		_, err := tx.ExecContext(ctx, "UPDATE "+items+" SET value = 1 WHERE id = $1", id)
		return err
	}
	signals := signaltest.New()
	runs := 0
	r := retrysql.MustNew(policy(retry.WithTelemetry(signals.Options()...)))
	err := r.Tx(t.Context(), db, serializable, func(ctx context.Context, tx *sql.Tx) error {
		runs++
		if err := takeOne(ctx, tx, 1); err != nil {
			return err
		}
		if runs > 1 {
			return nil
		}
		return retrysql.MustNew(nil).Tx(ctx, db, serializable, func(ctx context.Context, tx *sql.Tx) error { return takeOne(ctx, tx, 2) })
	})
	require.NoError(t, err)
	assert.Equal(t, 2, runs, "the function succeeded, and COMMIT was rejected")
	var taken int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT sum(value) FROM "+items).Scan(&taken))
	assert.Equal(t, 1, taken)
	assert.InDelta(t, 1, signals.Metric(t, telemetry.MetricRetryAttempts)["40001 failure test"], 0, signals.Metric(t, telemetry.MetricRetryAttempts))
}

func TestDeadlockIsRetried(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 2)
	var runs atomic.Int64
	r := retrysql.MustNew(policy(retry.WithMaxRetries(100))) // without a delay they meet again at once
	var both, all sync.WaitGroup
	both.Add(2)
	for _, ids := range [][2]int{{1, 2}, {2, 1}} {
		all.Go(func() {
			first := true
			assert.NoError(t, r.Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
				runs.Add(1)
				for i, id := range ids {
					if _, err := tx.ExecContext(ctx, "UPDATE "+items+" SET value = value + 1 WHERE id = $1", id); err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			}))
		})
	}
	all.Wait()
	assert.GreaterOrEqual(t, runs.Load(), int64(3))
	var sum int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT sum(value) FROM "+items).Scan(&sum))
	assert.Equal(t, 4, sum)
}

func TestLockThatIsNotToBeHadIsRetried(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 1)
	holder, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	lock := fmt.Sprintf("SELECT FROM %s FOR UPDATE NOWAIT", items)
	_, err = holder.ExecContext(t.Context(), lock)
	require.NoError(t, err)
	runs := 0
	require.NoError(t, runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if runs++; runs == 3 {
			require.NoError(t, holder.Rollback())
		}
		_, err := tx.ExecContext(ctx, lock)
		return err
	}))
	assert.Equal(t, 3, runs)
}

// A workload of transactions that conflict all the time ends with the right sum.
func TestCountersUnderSerializable(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	db.SetMaxOpenConns(8)
	items := table(t, db, 1)
	r := retrysql.MustNew(policy(retry.WithMaxRetries(1000)))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				assert.NoError(t, r.Tx(t.Context(), db, &sql.TxOptions{Isolation: sql.LevelSerializable},
					func(ctx context.Context, tx *sql.Tx) error {
						var value int
						if err := tx.QueryRowContext(ctx, "SELECT value FROM "+items).Scan(&value); err != nil {
							return err
						}
						_, err := tx.ExecContext(ctx, "UPDATE "+items+" SET value = $1", value+1)
						return err
					}))
			}
		})
	}
	all.Wait()
	var value int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT value FROM "+items).Scan(&value))
	assert.Equal(t, 100, value)
}
