package guard

import "github.com/vektah/gqlparser/v2/ast"

// Rule opens rules to the tests of this package.
type Rule struct{ rule }

// ReadRule reads the mark of a directive list; the zero rule for none.
func ReadRule(schema *ast.Schema, directives ast.DirectiveList) Rule {
	c := compiler{schema: schema, policy: &Policy{}}
	r, _ := c.mark("", directives)
	return Rule{r}
}

// AtLeastAsStrict is atLeastAsStrict.
func (r Rule) AtLeastAsStrict(other Rule) bool { return r.rule.atLeastAsStrict(&other.rule) }

// Forget takes the rule of a field, as if the schema had grown since the start.
func (p *Policy) Forget(typeName, fieldName string) { delete(p.types[typeName].fields, fieldName) }
