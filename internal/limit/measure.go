package limit

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// measure measures one document in two passes. The first pass visits each selection once and sums up the sizes of the
// fragments. It bounds the work of the second pass, which follows every spread.
type measure struct {
	bounds    *Bounds
	fragments map[string]*ast.FragmentDefinition
	// sizes holds the fragments measured so far; underWay marks those in progress.
	sizes      map[*ast.FragmentDefinition]extent
	directives int
	pairs      int // of repeated fields
	// aliases of the operation being merged, and those in introspection
	aliases, introspectionAliases int
	steps                         int // selections visited in both passes
	lists                         Lists
	refusal                       *fault.Error // the first
}

// maxAlias is the maximum length of an alias in bytes. A response repeats an alias for each item of a list, so that a
// long one would make gigabytes.
const maxAlias = 256

// extent is the number of fields and spreads in a selection set, and the nesting of its spreads.
type extent struct{ fields, nesting int }

var underWay = extent{fields: -1}

// check records the first exceeded bound.
func (m *measure) check(n, bound int, reason fault.Reason, format string) {
	if n > bound && m.refusal == nil {
		m.refusal = exceeded(reason, format, bound)
	}
}

func (m *measure) document(doc *ast.QueryDocument) {
	for _, f := range doc.Fragments {
		if m.fragments[f.Name] == nil { // like validation, use the first of two fragments with one name
			m.fragments[f.Name] = f
		}
	}
	var whole extent
	for _, op := range doc.Operations {
		m.annotated(op.Directives)
		for _, v := range op.VariableDefinitions {
			m.annotated(v.Directives)
			m.value(v.DefaultValue, 0)
		}
		m.add(&whole, m.selections(op.SelectionSet))
	}
	for _, f := range doc.Fragments { // unused ones too, because validation reads them
		m.add(new(extent), m.fragment(f))
	}
	m.check(m.directives, m.bounds.Directives, fault.TooManyDirectives, "a document may have at most %d directives")
	for _, op := range doc.Operations {
		if m.refusal != nil {
			return
		}
		m.operation(op)
	}
}

// add adds the extent of a sibling. It limits the sum to just above the bound, because nested fragments grow
// exponentially.
func (m *measure) add(sum *extent, e extent) {
	const tooMany = "a document may select at most %d fields; those of a fragment count once per spread"
	sum.fields = min(sum.fields+e.fields, m.bounds.Fields+1)
	sum.nesting = max(sum.nesting, e.nesting)
	m.check(sum.fields, m.bounds.Fields, fault.TooManyFields, tooMany)
	m.check(sum.nesting, m.bounds.Depth, fault.TooDeep, "fragments may nest at most %d deep")
}

func (m *measure) selections(set ast.SelectionSet) (sum extent) {
	for _, selection := range set {
		m.steps++
		m.add(&sum, extent{fields: 1})
		switch s := selection.(type) {
		case *ast.Field:
			if s.Alias != s.Name {
				m.check(len(s.Alias), maxAlias, fault.DocumentTooLarge, "an alias may have at most %d bytes")
			}
			m.annotated(s.Directives)
			m.arguments(s.Arguments)
			m.add(&sum, m.selections(s.SelectionSet))
		case *ast.InlineFragment:
			m.annotated(s.Directives)
			m.add(&sum, m.selections(s.SelectionSet))
		case *ast.FragmentSpread:
			m.annotated(s.Directives)
			if f := m.fragments[s.Name]; f != nil {
				m.add(&sum, m.fragment(f))
			}
		}
	}
	return sum
}

// fragment returns the extent of a spread of f.
func (m *measure) fragment(f *ast.FragmentDefinition) extent {
	e, met := m.sizes[f]
	switch {
	case e == underWay:
		// Validation refuses cycles too, but only after rules that follow every spread.
		if m.refusal == nil {
			m.refusal = fault.New(fault.ValidationFailed, "", "a fragment must not spread itself")
		}
		return extent{}
	case met:
		return e
	}
	m.sizes[f] = underWay
	m.annotated(f.Directives)
	e = m.selections(f.SelectionSet)
	e.nesting++
	m.sizes[f] = e
	return e
}

// annotated counts the directives of one element.
func (m *measure) annotated(directives ast.DirectiveList) {
	const tooMany = "one element may have at most %d directives"
	m.directives += len(directives)
	m.check(len(directives), m.bounds.ElementDirectives, fault.TooManyDirectives, tooMany)
	for _, d := range directives {
		m.arguments(d.Arguments)
	}
}

func (m *measure) arguments(arguments ast.ArgumentList) {
	for _, a := range arguments {
		m.value(a.Value, 0)
	}
}

func (m *measure) value(v *ast.Value, depth int) {
	if v == nil {
		return
	}
	if v.Kind == ast.ListValue || v.Kind == ast.ObjectValue {
		depth++
		m.check(depth, m.bounds.InputDepth, fault.InputTooDeep, inputDepthMessage)
	}
	for _, child := range v.Children {
		m.value(child.Value, depth)
	}
}
