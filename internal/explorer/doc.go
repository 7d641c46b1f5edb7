// Package explorer owns the page at /: GraphiQL with a panel for signing in. It serves third-party files from the binary
// if they were embedded in the build, else it lets the page load them from a CDN by their hash. It promises that the page
// runs nothing but those files. It does not know the schema or the server behind /graphql.
package explorer
