package matrixtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// step is a field of an object, and the type of its value.
type step struct {
	object, field string
	to            string // the object type of the value; empty for a leaf
	abstract      bool   // the field's type is an interface or a union
}

// route is a path from a root type to the field of the last step.
type route struct {
	steps   []step
	variant int // which value signs in, if the path passes through payloads
}

func (r route) String() string {
	var b strings.Builder
	for i, s := range r.steps {
		if i == 0 {
			b.WriteString(s.object)
		}
		b.WriteString("." + s.field)
		if s.abstract {
			b.WriteString("(" + s.to + ")")
		}
	}
	if r.variant > 0 {
		fmt.Fprintf(&b, " as sign-in %d", r.variant)
	}
	return b.String()
}

// place is an object type, reached either through a payload that signs in or without one.
type place struct {
	object  string
	through bool
}

// ways returns the best path to every place: with as few guarded fields as possible, so that the field at its end
// refuses; then as short as possible.
func (m *Matrix) ways() map[place][]step {
	ways := make(map[place][]step)
	for _, root := range []*ast.Definition{m.schema.Query, m.schema.Mutation, m.schema.Subscription} {
		if root != nil {
			ways[place{object: root.Name}] = nil
		}
	}
	for changed := true; changed; {
		changed = false
		for _, name := range m.objects() {
			for _, through := range []bool{false, true} {
				from := place{name, through}
				if way, known := ways[from]; known && m.extend(ways, from, way) {
					changed = true
				}
			}
		}
	}
	return ways
}

// extend adds the paths that one more step from a place improves.
func (m *Matrix) extend(ways map[place][]step, from place, way []step) (changed bool) {
	for _, field := range m.schema.Types[from.object].Fields {
		for _, s := range m.steps(from.object, field) {
			if s.to == "" {
				continue
			}
			to := place{s.to, from.through || m.types.signsIn(s.to)}
			longer := append(slices.Clone(way), s)
			if known, ok := ways[to]; !ok || m.cost(longer) < m.cost(known) {
				ways[to], changed = longer, true
			}
		}
	}
	return changed
}

func (m *Matrix) cost(way []step) int {
	total := len(way)
	for _, s := range way {
		if !m.marks(s.object, s.field).public {
			total += 1000
		}
	}
	return total
}

// steps returns the steps that a field allows: one for a leaf, or else one for each concrete type.
func (m *Matrix) steps(object string, field *ast.FieldDefinition) []step {
	def := m.schema.Types[field.Type.Name()]
	if strings.HasPrefix(def.Name, "__") {
		return nil
	}
	if def.IsLeafType() {
		return []step{{object: object, field: field.Name}}
	}
	var list []step
	for _, possible := range m.schema.GetPossibleTypes(def) {
		if possible.Kind == ast.Object {
			list = append(list, step{object: object, field: field.Name, to: possible.Name, abstract: def.IsAbstractType()})
		}
	}
	return list
}

// signsIn reports whether a payload on the path signs a user in.
func (r route) signsIn(m *Matrix) bool {
	return slices.ContainsFunc(r.steps, func(s step) bool { return m.types.signsIn(s.to) })
}

// signInOf returns the value of step i of r if it signs a user in, or nil. Nested payloads take different values.
func (m *Matrix) signInOf(r route, i int) any {
	if !m.types.signsIn(r.steps[i].to) {
		return nil
	}
	return m.signIn(r.steps[i].to, r.variant+i)
}

// alias returns the name of step i in the answer. wanted parses the number after signInAlias.
func (m *Matrix) alias(r route, i int) string {
	if m.signInOf(r, i) != nil {
		return fmt.Sprintf("%s%d", signInAlias, r.variant+i)
	}
	return r.steps[i].field
}

// query returns the operation that follows r.
func (m *Matrix) query(r route) string {
	inner := ""
	for i, s := range slices.Backward(r.steps) {
		field := m.schema.Types[s.object].Fields.ForName(s.field)
		if s.to != "" && inner == "" {
			inner = "__typename"
		}
		// The fragment selects the type; fields of the interface are selected on the interface.
		isShared := i+1 < len(r.steps) && m.schema.Types[field.Type.Name()].Fields.ForName(r.steps[i+1].field) != nil
		if s.abstract && isShared {
			inner = "... on " + s.to + " { __typename } " + inner
		} else if s.abstract {
			inner = "... on " + s.to + " { " + inner + " }"
		}
		if inner != "" {
			inner = " { " + inner + " }"
		}
		inner = m.alias(r, i) + ": " + s.field + m.arguments(field.Arguments) + inner
	}
	return m.operation(r) + " { " + inner + " }"
}

func (m *Matrix) operation(r route) string {
	switch root := m.schema.Types[r.steps[0].object]; root {
	case m.schema.Mutation:
		return "mutation"
	case m.schema.Subscription:
		return "subscription"
	}
	return "query"
}

// arguments returns the required arguments.
func (m *Matrix) arguments(list ast.ArgumentDefinitionList) string {
	var given []string
	for _, a := range list {
		if a.Type.NonNull && a.DefaultValue == nil {
			given = append(given, a.Name+": "+m.literal(a.Type))
		}
	}
	if len(given) == 0 {
		return ""
	}
	return "(" + strings.Join(given, ", ") + ")"
}

// literal returns a value of type t. For custom scalars it returns an instant, which most accept.
func (m *Matrix) literal(t *ast.Type) string {
	if t.Elem != nil {
		return "[" + m.literal(t.Elem) + "]"
	}
	def := m.schema.Types[t.NamedType]
	switch {
	case def.Kind == ast.Enum:
		return def.EnumValues[0].Name
	case def.Kind == ast.InputObject:
		var fields []string
		for _, f := range def.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				fields = append(fields, f.Name+": "+m.literal(f.Type))
			}
		}
		if len(fields) == 0 && def.Directives.ForName("oneOf") != nil {
			fields = []string{def.Fields[0].Name + ": " + m.literal(def.Fields[0].Type)}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case t.NamedType == "Int" || t.NamedType == "Float":
		return "1"
	case t.NamedType == "Boolean":
		return "true"
	case t.NamedType == "JSON":
		return "{}"
	}
	return `"2026-02-03T04:05:06Z"`
}
