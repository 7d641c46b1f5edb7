package limit

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// measure takes the measure of one document. The first pass goes through the text once and adds up what
// fragments hold, so that it is known how much the second, which follows every spread, will meet.
type measure struct {
	bounds    *Bounds
	fragments map[string]*ast.FragmentDefinition
	// sizes of the fragments met so far; underWay marks those that are being added up.
	sizes      map[*ast.FragmentDefinition]extent
	directives int
	pairs      int // of repeated fields
	// aliases of the operation that is being merged, and those of them on or in introspection
	aliases, introspectionAliases int
	steps                         int // selections looked at, in both passes
	lists                         Lists
	refusal                       *fault.Error // the first
}

// maxAlias is how many bytes an alias may have. Answers repeat it for each item of a list: one as long as a document
// may be makes gigabytes of them.
const maxAlias = 256

// extent is how many fields and spreads a selection set stands for, and how deep its spreads nest.
type extent struct{ fields, nesting int }

var underWay = extent{fields: -1}

func (m *measure) refuse(beyond bool, reason fault.Reason, format string, bound int) {
	if beyond && m.refusal == nil {
		m.refusal = exceeded(reason, format, bound)
	}
}

func (m *measure) document(doc *ast.QueryDocument) {
	for _, f := range doc.Fragments {
		if m.fragments[f.Name] == nil { // of two with one name, validation takes the first
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
	for _, f := range doc.Fragments { // also those that nothing spreads: validation reads them too
		m.add(new(extent), m.fragment(f))
	}
	m.refuse(m.directives > m.bounds.Directives, fault.TooManyDirectives, "a document may have at most %d directives", m.bounds.Directives)
	for _, op := range doc.Operations {
		if m.refusal != nil {
			return
		}
		m.operation(op)
	}
}

// add adds up what stands side by side. The sum stops just above the bound on fields, which nested
// fragments go beyond soon.
func (m *measure) add(sum *extent, e extent) {
	sum.fields = min(sum.fields+e.fields, m.bounds.Fields+1)
	sum.nesting = max(sum.nesting, e.nesting)
	m.refuse(sum.fields > m.bounds.Fields, fault.TooManyFields, "a document may select at most %d fields, those of fragments counted wherever they are spread", m.bounds.Fields)
	m.refuse(sum.nesting > m.bounds.Depth, fault.TooDeep, "fragments may nest at most %d deep", m.bounds.Depth)
}

func (m *measure) selections(set ast.SelectionSet) (sum extent) {
	for _, selection := range set {
		m.steps++
		m.add(&sum, extent{fields: 1})
		switch s := selection.(type) {
		case *ast.Field:
			m.refuse(s.Alias != s.Name && len(s.Alias) > maxAlias, fault.DocumentTooLarge, "an alias may have at most %d bytes", maxAlias)
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
		// Validation would refuse it too, but only after rules that follow every spread.
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
	m.directives += len(directives)
	m.refuse(len(directives) > m.bounds.ElementDirectives, fault.TooManyDirectives, "one element may have at most %d directives", m.bounds.ElementDirectives)
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
		m.refuse(depth > m.bounds.InputDepth, fault.InputTooDeep, inputDepthMessage, m.bounds.InputDepth)
	}
	for _, child := range v.Children {
		m.value(child.Value, depth)
	}
}
