// Package dsn parses the value of --database: the database it names, and the parameters of libpq, poolers and hosting
// providers that have an effect. It promises that its errors repeat no value, because a malformed URL may contain a
// password. It does not resolve names or connect.
package dsn
