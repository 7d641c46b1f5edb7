package graph

import "github.com/vektah/gqlparser/v2/ast"

// sensitiveMark stands on what must never show. Its definition is in the SDL.
const sensitiveMark = "sensitive"

// takesSensitive reports whether one of the arguments is @sensitive, or takes something that is, however deep.
func takesSensitive(schema *ast.Schema, arguments ast.ArgumentDefinitionList) bool {
	met := make(map[string]bool) // inputs may hold themselves
	var within func(name string) bool
	within = func(name string) bool {
		def := schema.Types[name]
		if met[name] || def == nil || def.Kind != ast.InputObject {
			return false
		}
		met[name] = true
		for _, field := range def.Fields {
			if field.Directives.ForName(sensitiveMark) != nil || within(field.Type.Name()) {
				return true
			}
		}
		return false
	}
	for _, argument := range arguments {
		if argument.Directives.ForName(sensitiveMark) != nil || within(argument.Type.Name()) {
			return true
		}
	}
	return false
}
