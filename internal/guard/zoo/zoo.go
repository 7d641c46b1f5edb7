// Package zoo owns a second schema, for tests of the guard only.
package zoo

//go:generate go run github.com/99designs/gqlgen generate
