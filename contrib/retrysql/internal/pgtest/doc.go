// Package pgtest starts a PostgreSQL server for tests, and stands between it and its clients
// to lose connections at the moment that a test wants.
package pgtest
