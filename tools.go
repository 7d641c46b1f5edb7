//go:build tools

// This file keeps the packages that only go generate imports in go.mod.

package main

import (
	_ "github.com/99designs/gqlgen"
	_ "github.com/99designs/gqlgen/graphql/introspection"
)
