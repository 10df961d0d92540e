// Package retrysql repeats database transactions that failed and that are known to have
// changed nothing.
//
// Make a [Runner] for each operation and share it. It takes any policy:
//
//	var saveOrder = retrysql.MustNew(retry.MustNew("orders.save", retry.WithConfig(retry.DatabaseQuery())))
//
//	err := saveOrder.Tx(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE stock SET left = left - 1 WHERE item = $1", item)
//		return err
//	})
//
// Tx begins a transaction, runs the function and commits. If the function fails, panics or
// leaves its goroutine the transaction is rolled back. Repeated is the whole of it, from
// BEGIN on, as PostgreSQL asks for: a transaction that failed takes no further statements.
//
// # What is repeated
//
//   - serialization failures and deadlocks: SQLSTATE class 40, but 40002
//   - locks that were not to be had in time: 55P03, of NOWAIT and lock_timeout
//   - connections that were lost before COMMIT was sent: class 08, 57P01, 57P02 and 57P05,
//     [driver.ErrBadConn], [io.EOF], [net.ErrClosed], and all that resilience.Classify knows
//   - servers that take no connections: 57P03, and 53300, which counts as throttled
//
// Any other SQLSTATE is permanent, but for 57014 (the statement was cancelled), on which
// this package has no opinion. [Classify] is this rule alone. What an error says of itself
// stands before it, such as resilience.Permanent around the error of a function.
//
// # A COMMIT without an answer
//
// If the connection is lost or the context ends while COMMIT is under way, the transaction
// may have been committed, and to run it again may do everything twice. Such a call is not
// repeated and returns a [*CommitUnknownError]. [WithIdempotent] repeats it all the same.
// A COMMIT that the server rejected, as with 40001 under SERIALIZABLE, is known to have
// failed and is repeated; one whose context had ended before it was sent is not sent.
//
// # Inside the function
//
// Only the last run of the function counts, so it must not change what outlives it, such as
// a variable outside, until Tx has returned. Its context forbids retries to all policies
// that are used under it (resilience.NoRetry): a statement cannot be repeated by itself in
// a transaction that has failed. The function leaves COMMIT and ROLLBACK to Tx, also a
// deferred one. If it ends the transaction by itself the call is not repeated and returns an
// error that says so. A COMMIT that it sends as the text of a statement is noticed
// with pgx only: elsewhere the call may be repeated after it.
//
// # Statements outside of a transaction
//
// [Runner.Query] and [Collect] read, and are repeated on the same failures. [Runner.Exec]
// is a transaction of its own, COMMIT included: it is repeated only if it is known to have
// had no effect.
//
// # Other drivers and clients
//
// SQLSTATEs are found by a method SQLState() string, which errors of pgx and of lib/pq have.
// [WithSQLState] says how to find those of other drivers. Package retrypgx runs the
// transactions of pgx itself, and [Run] those of any other client.
package retrysql
