// Package graph owns the GraphQL API: the resolvers, with one file per schema file, the gqlgen server around them, and
// the conversion of errors for clients.
//
// A resolver gets the caller from the guard, makes one call to a domain package and returns.
package graph
