// Graphwarden is a GraphQL API server in which every resolver is guarded by the schema itself.
package main

import (
	"context"
	"os"

	"github.com/graphwarden/graphwarden/internal/cli"
)

//go:generate go run ./internal/codegen

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
