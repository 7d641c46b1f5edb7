// Package store owns the databases, SQLite and Postgres: it opens and migrates them, runs transactions and background
// loops, and tells outages from programming errors.
//
// Feature packages bring their own SQL, one text for both databases: $N placeholders, TEXT, BIGINT and BOOLEAN columns,
// times as Time, and now_us() for the database's clock. The package knows no table except leases.
package store
