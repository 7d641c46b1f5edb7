// Package store owns the databases, SQLite and Postgres: opening and migrating them, transactions, background loops, and
// telling a storage fault from a mistake.
//
// Feature packages bring their own SQL, one text for both databases: $N placeholders, TEXT, BIGINT and BOOLEAN columns,
// times as Time, and now_us() for the database's clock. The package knows no table except that of leases.
package store
