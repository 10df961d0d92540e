// Package retrypgx runs transactions and statements of pgx under the rules of package
// retrysql, which says what is repeated, what is not, and what holds inside of a function.
//
//	var saveOrder = retrysql.MustNew(retry.MustNew("orders.save"))
//
//	options := pgx.TxOptions{IsoLevel: pgx.Serializable}
//	err := retrypgx.Tx(ctx, saveOrder, pool, options, func(ctx context.Context, tx pgx.Tx) error {
//		_, err := tx.Exec(ctx, "UPDATE stock SET left = left - 1 WHERE item = $1", item)
//		return err
//	})
//
// Users of database/sql need only package retrysql, also with the driver of pgx.
package retrypgx
