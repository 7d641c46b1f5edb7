package guard

import "github.com/vektah/gqlparser/v2/ast"

// Rule exports rule to the tests of this package.
type Rule struct{ rule }

// ReadRule returns the rule of a directive list; the zero rule without directives.
func ReadRule(schema *ast.Schema, directives ast.DirectiveList) Rule {
	c := compiler{schema: schema, policy: &Policy{}}
	r, _ := c.mark("", directives)
	return Rule{r}
}

// AtLeastAsStrict is atLeastAsStrict.
func (r Rule) AtLeastAsStrict(other Rule) bool { return r.rule.atLeastAsStrict(&other.rule) }

// Forget removes the rule of a field.
func (p *Policy) Forget(typeName, fieldName string) { delete(p.types[typeName].fields, fieldName) }
