// Package explorer owns the page at /: GraphiQL with a panel for signing in. It serves third-party files from the
// binary if the build embedded them. Otherwise the page loads them from a CDN, pinned by hash. It promises that the
// page runs no other files. It does not know the schema or the server behind /graphql.
package explorer
