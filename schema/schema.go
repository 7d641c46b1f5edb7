// Package schema owns the SDL: the *.graphqls files next to it, one per subject. They are the contract with every
// client, the manual in GraphiQL, and the policy that the guard enforces.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

//go:embed *.graphqls
var files embed.FS

// Print returns the SDL as one document without extensions, with the types sorted by name. Relay takes extensions of
// server types for client schema extensions.
func Print(sdl *ast.Schema) string {
	var b strings.Builder
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(sdl)
	return b.String()
}

// Text returns the source text of the SDL, with the files sorted by name.
func Text() string {
	var b strings.Builder
	for _, source := range sources() {
		b.WriteString(source.Input)
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Load parses the SDL on each call, without @defer: the server has no transport for incremental delivery, so validation
// must reject the directive.
func Load() (*ast.Schema, error) {
	schema, err := gqlparser.LoadSchema(sources()...)
	if err != nil {
		return nil, fmt.Errorf("load schema: %w", err)
	}
	delete(schema.Directives, "defer")
	return schema, nil
}

// HasRole reports whether the enum Role of sdl contains role.
func HasRole[R ~string](sdl *ast.Schema, role R) bool {
	return sdl.Types["Role"].EnumValues.ForName(string(role)) != nil
}

func sources() []*ast.Source {
	names, err := fs.Glob(files, "*.graphqls")
	if err != nil {
		panic(err) // only for a malformed pattern
	}
	var list []*ast.Source
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded files can be read
		}
		list = append(list, &ast.Source{Name: "schema/" + name, Input: string(text)})
	}
	return list
}
