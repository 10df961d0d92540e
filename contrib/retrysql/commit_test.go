package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/contrib/retrysql/internal/pgtest"
	"github.com/observable-go/toolkit/internal/signaltest"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

// assertUnknown checks that err says that nobody knows whether the transaction happened.
func assertUnknown(t *testing.T, err error) {
	t.Helper()
	var unknown *retrysql.CommitUnknownError
	require.ErrorAs(t, err, &unknown)
	assert.ErrorContains(t, err, "retrysql: it is unknown whether the transaction was committed: ")
	assert.Equal(t, "commit_unknown", resilience.ErrorType(err))
	assert.Error(t, unknown.Err)
}

// The connection breaks while COMMIT is under way: before or after it took effect, which the
// client cannot tell.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	direct := open(t, server.URL())
	for _, tt := range []struct {
		name       string
		cut        pgtest.Cut
		rows       int
		idempotent int // rows if the transaction is repeated
	}{
		{"before", pgtest.BeforeCommit, 0, 1},
		{"after", pgtest.AfterCommit, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, server)
			db := open(t, proxy.URL())
			items := table(t, direct, 0)
			fn, runs := insert(items)
			signals := signaltest.New()
			r := retrysql.MustNew(policy(retry.WithTelemetry(signals.Options()...)))
			proxy.Disturb(tt.cut, 1)
			err := r.Tx(t.Context(), db, nil, fn)
			assertUnknown(t, err)
			assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
			assert.NotErrorIs(t, err, retry.ErrExhausted)
			assert.Equal(t, 1, *runs, "exactly one execution")
			assert.Equal(t, tt.rows, count(t, direct, items))
			attempts := signals.Metric(t, telemetry.MetricRetryAttempts)
			assert.InDelta(t, 1, attempts["commit_unknown failure test"], 0, attempts)

			items = table(t, direct, 0)
			fn, runs = insert(items)
			proxy.Disturb(tt.cut, 1)
			require.NoError(t, runner(retrysql.WithIdempotent()).Tx(t.Context(), db, nil, fn))
			assert.Equal(t, 2, *runs)
			assert.Equal(t, tt.idempotent, count(t, direct, items))

			proxy.Disturb(tt.cut, 4)
			err = runner(retrysql.WithIdempotent()).Tx(t.Context(), db, nil, fn)
			require.ErrorIs(t, err, retry.ErrExhausted)
			assertUnknown(t, err)
			assert.Zero(t, db.Stats().InUse)
		})
	}
}

// No option of a policy and no classifier makes it repeat such a transaction.
func TestNothingOverridesAnUnknownCommit(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	items := table(t, direct, 0)
	fn, runs := insert(items)
	always := func(error) resilience.Class { return resilience.ClassRetryable }
	r := retrysql.MustNew(policy(
		retry.WithClassifier(always), retry.WithUnknown(resilience.ClassRetryable),
		retry.WithRetryableType[*retrysql.CommitUnknownError](),
	), retrysql.WithClassifier(always))
	proxy.Disturb(pgtest.AfterCommit, 1)
	assertUnknown(t, r.Tx(t.Context(), open(t, proxy.URL()), nil, fn))
	assert.Equal(t, 1, *runs)
	assert.Equal(t, 1, count(t, direct, items))
}

func TestContextEndsDuringCommit(t *testing.T) {
	t.Parallel()
	direct := open(t, server.URL())
	t.Run("the caller's", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, server)
		db, items := open(t, proxy.URL()), table(t, direct, 0)
		fn, runs := insert(items)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-proxy.Answered
			cancel()
		}()
		proxy.Disturb(pgtest.HoldAnswer, 1)
		err := runner().Tx(ctx, db, nil, fn)
		require.ErrorIs(t, err, context.Canceled)
		assertUnknown(t, err)
		assert.Equal(t, 1, *runs)
		assert.Equal(t, 1, count(t, direct, items))
		assert.Zero(t, db.Stats().InUse)
	})
	t.Run("an attempt's", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, server)
		db, items := open(t, proxy.URL()), table(t, direct, 0)
		fn, runs := insert(items)
		policy, end := endable()
		go func() {
			<-proxy.Answered
			end()
		}()
		proxy.Disturb(pgtest.HoldAnswer, 1)
		err := retrysql.MustNew(policy).Tx(t.Context(), db, nil, fn)
		require.ErrorIs(t, err, context.Canceled)
		assertUnknown(t, err)
		assert.Equal(t, 1, *runs)
		assert.Equal(t, 1, count(t, direct, items))
	})
}

// What ended the context is another's failure, as that of a sibling in an errgroup: it says
// nothing about this COMMIT.
func TestCauseOfTheContextSaysNothingAboutCommit(t *testing.T) {
	t.Parallel()
	direct, proxy := open(t, server.URL()), pgtest.NewProxy(t, server)
	_, notConnected := runner().Exec(t.Context(), open(t, "postgres://postgres@127.0.0.1:1/postgres"), "SELECT 1")
	for _, cause := range []error{stateError("40001"), stateError("23505"), notConnected, sql.ErrTxDone} {
		items := table(t, direct, 0)
		fn, runs := insert(items)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-proxy.Answered
			cancel(cause)
		}()
		proxy.Disturb(pgtest.HoldAnswer, 1)
		err := runner().Tx(ctx, open(t, proxy.URL()), nil, fn)
		assertUnknown(t, err)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		assert.Equal(t, 1, *runs)
		assert.Equal(t, 1, count(t, direct, items))
	}
}

// Then COMMIT is not sent, so it is known that nothing happened.
func TestContextEndsBeforeCommit(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	fn, runs := insert(items)
	ctx, cancel := context.WithCancel(t.Context())
	err := runner().Tx(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		require.NoError(t, fn(ctx, tx))
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "retrysql: the context ended before COMMIT")
	var unknown *retrysql.CommitUnknownError
	require.NotErrorAs(t, err, &unknown)
	assert.Equal(t, 1, *runs)

	*runs = 0
	policy, end := endable()
	require.NoError(t, retrysql.MustNew(policy).Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		err := fn(ctx, tx)
		if *runs == 1 {
			end()
		}
		return err
	}))
	assert.Equal(t, 2, *runs)
	assert.Equal(t, 1, count(t, db, items))
	assert.Zero(t, db.Stats().InUse)
	assert.Equal(t, 1, db.Stats().OpenConnections, "ROLLBACK had a context that works, so the connection is still good")
}

// A function that does not listen holds no locks after its context has ended.
func TestRollsBackWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 1)
	ctx, cancel := context.WithCancel(t.Context())
	err := runner().Tx(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE "+items+" SET value = 1")
		require.NoError(t, err)
		cancel()
		waits, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		_, err = db.ExecContext(waits, "UPDATE "+items+" SET value = 2")
		require.NoError(t, err, "the lock is still held")
		_, err = tx.Exec("SELECT 1") //nolint:noctx // as old code does it
		require.ErrorIs(t, err, sql.ErrTxDone)
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestCommitAnsweredByRollback(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	items := table(t, db, 0)
	fn, runs := insert(items)
	err := runner().Tx(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
		require.NoError(t, fn(ctx, tx))
		_, err := tx.ExecContext(ctx, "SELECT 1/0")
		require.Error(t, err) // and is not returned
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
	require.ErrorContains(t, err, "retrysql: the function returned no error although a statement had failed")
	assert.Equal(t, resilience.ClassPermanent, resilience.Classify(err))
	assert.Equal(t, "25P02", resilience.ErrorType(err))
	assert.Equal(t, 1, *runs)
	assert.Zero(t, count(t, db, items))
}

// A trigger that is deferred until COMMIT raises each code, as the server itself would.
func TestCommitRejectedWithCode(t *testing.T) {
	t.Parallel()
	db := open(t, server.URL())
	for _, tt := range []struct {
		state   string
		unknown bool
		runs    int
	}{
		{"40001", false, 2},
		{"40P01", false, 2},
		{"55P03", false, 2},
		{"40002", false, 1},
		{"23505", false, 1},
		{"P0001", false, 1},
		{"57014", false, 1},
		{"40003", true, 1},
		{"08006", true, 1},
		{"08007", true, 1},
		{"57P01", true, 1},
		{"53100", true, 1},
		{"58030", true, 1},
		{"XX000", true, 1},
	} {
		t.Run(tt.state, func(t *testing.T) {
			t.Parallel()
			items := table(t, db, 0)
			exec(t, db, fmt.Sprintf("CREATE SEQUENCE %s_runs", items))
			exec(t, db, fmt.Sprintf(`CREATE FUNCTION %s_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('%s_runs') = 1 THEN RAISE EXCEPTION USING ERRCODE = '%s'; END IF; RETURN NULL; END $$`, items, items, tt.state))
			exec(t, db, fmt.Sprintf(`CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION %s_fail()`, items, items))
			fn, runs := insert(items)
			err := runner().Tx(t.Context(), db, nil, fn)
			assert.Equal(t, tt.runs, *runs)
			if tt.runs == 2 {
				require.NoError(t, err)
				return
			}
			failure, ok := errors.AsType[*pgconn.PgError](err)
			require.True(t, ok)
			assert.Equal(t, tt.state, failure.Code)
			if tt.unknown {
				assertUnknown(t, err)
			} else {
				assert.Equal(t, tt.state, resilience.ErrorType(err))
			}
		})
	}
}
