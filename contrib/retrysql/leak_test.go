package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/resilience/retry"
)

// After a thousand transactions that failed in every way nothing is left: no connection in
// use, no open transaction at the server, no goroutine.
func TestNothingLeaks(t *testing.T) { //nolint:paralleltest // it counts goroutines
	direct := open(t, server.URL())
	items := table(t, direct, 0)
	require.NoError(t, direct.PingContext(t.Context()))
	before := runtime.NumGoroutine()
	t.Run("faults", func(t *testing.T) {
		proxy := pgtest.NewProxy(t, server)
		db := open(t, proxy.URL()+"&application_name=leaks")
		db.SetMaxOpenConns(10)
		var committed sync.Map
		var all sync.WaitGroup
		for worker := range 10 {
			all.Go(func() {
				for i := range 100 {
					fault(t, db, proxy, items, worker*100+i, &committed)
				}
			})
		}
		all.Wait()
		assert.Zero(t, db.Stats().InUse)
		assert.LessOrEqual(t, db.Stats().OpenConnections, 10)
		assertEventually(t, 0, func() (n int) {
			require.NoError(t, direct.QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaks' AND xact_start IS NOT NULL").Scan(&n))
			return n
		})
		require.NoError(t, db.Close())
		assertEventually(t, 0, func() (n int) {
			require.NoError(t, direct.QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaks'").Scan(&n))
			return n
		})
		want := 0
		committed.Range(func(any, any) bool { want++; return true })
		assert.Equal(t, want, count(t, direct, items), "each that said so is there, once, and no other")
	})
	assertEventually(t, 0, func() int { return max(0, runtime.NumGoroutine()-before-2) }) // but for the two of Eventually
}

// fault runs the n-th transaction, which adds the row n, and notes if it was committed.
func fault(t *testing.T, db *sql.DB, proxy *pgtest.Proxy, items string, n int, committed *sync.Map) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := 0
	fn := func(ctx context.Context, tx *sql.Tx) error {
		runs++
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+items+" VALUES ($1)", n); err != nil {
			return err
		}
		switch {
		case n%10 == 0:
			return errors.New("own")
		case n%10 == 1:
			panic("boom")
		case n%10 == 2:
			runtime.Goexit()
		case n%10 == 3:
			cancel()
		case n%100 == 4 && runs == 1:
			_, err := tx.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		case n%10 == 5 && runs < 3:
			_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
			return err
		case n%10 == 6:
			rows, err := tx.QueryContext(ctx, "SELECT generate_series(1, 1000)") //nolint:rowserrcheck,sqlclosecheck // left open
			_ = rows
			return errors.Join(err, errors.New("own"))
		case n%250 == 7:
			proxy.Break()
		}
		return nil
	}
	r := retrysql.MustNew(policy(retry.WithMaxRetries(20)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		err := r.Tx(ctx, db, nil, fn)
		if _, unknown := errors.AsType[*retrysql.CommitUnknownError](err); err == nil || unknown {
			var there bool
			query := "SELECT EXISTS (SELECT FROM " + items + " WHERE id = $1)"
			for {
				if lookErr := db.QueryRowContext(t.Context(), query, n).Scan(&there); lookErr == nil {
					break
				}
			}
			assert.True(t, there || unknown)
			if there {
				committed.Store(n, true)
			}
		}
	}()
	<-done
}

// assertEventually waits until f returns want: the server and the driver clean up behind
// our back.
func assertEventually(t *testing.T, want int, f func() int) {
	t.Helper()
	got := 0
	assert.Eventually(t, func() bool {
		got = f()
		return got == want
	}, 10*time.Second, 5*time.Millisecond)
	assert.Equal(t, want, got)
}
