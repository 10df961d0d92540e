package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func ExampleRunner_Tx() {
	db, err := sql.Open("pgx", server.URL())
	if err != nil {
		panic(err)
	}
	defer db.Close()
	ctx := context.Background()
	_, _ = db.ExecContext(ctx, "CREATE TABLE stock (item text, left_over int); INSERT INTO stock VALUES ('tea', 5)")

	take := retrysql.MustNew(retry.MustNew("stock.take", retry.WithInitialDelay(0),
		retry.WithOnRetry(func(_ context.Context, r retry.Retry) {
			fmt.Printf("attempt %d after %s\n", r.Attempt, resilience.ErrorType(r.Err))
		})))
	serializable := &sql.TxOptions{Isolation: sql.LevelSerializable}
	disturbed := false
	left, err := retrysql.TxValue(ctx, take, db, serializable, func(ctx context.Context, tx *sql.Tx) (left int, err error) {
		if err := tx.QueryRowContext(ctx, "SELECT left_over FROM stock WHERE item = 'tea'").Scan(&left); err != nil {
			return 0, err
		}
		if !disturbed { // somebody else takes one meanwhile
			disturbed = true
			_, _ = db.ExecContext(ctx, "UPDATE stock SET left_over = left_over - 1")
		}
		left--
		_, err = tx.ExecContext(ctx, "UPDATE stock SET left_over = $1 WHERE item = 'tea'", left)
		return left, err
	})
	fmt.Println(left, err)
	// Output:
	// attempt 2 after 40001
	// 3 <nil>
}

func ExampleCommitUnknownError() {
	commit := func(context.Context) (int, error) { return 0, errors.New("connection lost") }
	_, err := retrysql.Statement(context.Background(), retrysql.MustNew(retry.MustNew("stock.take")), commit)
	if unknown, ok := errors.AsType[*retrysql.CommitUnknownError](err); ok {
		fmt.Println("look whether it happened:", unknown.Err)
	}
	// Output: look whether it happened: connection lost
}
