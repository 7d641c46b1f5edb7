package limit

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// group is all fields with the same response key at one place in the response. Execution merges them.
type group []*ast.Field

// place is a place in the response.
type place struct {
	depth int
	// introspecting is set below __schema and __type at any depth. lists counts the lists below them that lead from one
	// type to others.
	introspecting bool
	lists         int
}

// operation checks an operation after merging. The first pass has refused recursive fragments and too many fields, so
// that this terminates quickly.
func (m *measure) operation(op *ast.OperationDefinition) {
	m.aliases, m.introspectionAliases = 0, 0
	defaults := make(map[string]*ast.Value, len(op.VariableDefinitions))
	for _, v := range op.VariableDefinitions {
		defaults[v.Variable] = v.DefaultValue
	}
	root := m.merge([]ast.SelectionSet{op.SelectionSet})
	b := m.bounds
	m.check(len(root), b.RootFields, fault.TooManyRootFields, "an operation may have at most %d root fields")
	lists := m.groups(root, place{depth: 1}, defaults)
	m.check(m.aliases, b.Aliases, fault.TooManyAliases, "an operation may have at most %d aliases")
	const tooMany = "introspection may have at most %d aliases"
	m.check(m.introspectionAliases, b.IntrospectionAliases, fault.TooManyAliases, tooMany)
	if m.refusal == nil {
		m.refusal = m.bounds.keep(&m.lists, operationLists{op.Name, lists})
	}
}

// merge returns the groups of several selection sets, in the order of their first fields.
func (m *measure) merge(sets []ast.SelectionSet) (groups []group) {
	index := make(map[string]int)
	var collect func(ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, selection := range set {
			m.steps++
			switch s := selection.(type) {
			case *ast.Field:
				i, met := index[s.Alias]
				if !met {
					i = len(groups)
					index[s.Alias] = i
					groups = append(groups, nil)
				}
				groups[i] = append(groups[i], s)
			case *ast.InlineFragment:
				collect(s.SelectionSet)
			case *ast.FragmentSpread:
				if f := m.fragments[s.Name]; f != nil {
					collect(f.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set)
	}
	return groups
}

// groups checks the groups at one place and below it, and returns the lists that they request.
func (m *measure) groups(all []group, at place, defaults map[string]*ast.Value) (lists []list) {
	const (
		tooOften     = "one field may be selected at most %d times at one place"
		tooManyPairs = "a document may have at most %d pairs of repeated fields"
		tooDeep      = "introspection may go from type to type at most %d times"
	)
	b := m.bounds
	for _, g := range all {
		m.check(at.depth, b.Depth, fault.TooDeep, "fields may nest at most %d deep")
		m.check(len(g), b.Repeats, fault.TooManyRepeats, tooOften)
		m.pairs += len(g) * (len(g) - 1) / 2
		m.check(m.pairs, b.RepeatPairs, fault.TooManyRepeats, tooManyPairs)
		if m.refusal != nil {
			return nil
		}
		below := at.below(g)
		m.check(below.lists, b.IntrospectionDepth, fault.IntrospectionTooDeep, tooDeep)
		var sets []ast.SelectionSet
		var sizes []size
		for _, field := range g {
			if field.Alias != field.Name {
				m.aliases++
				if below.introspecting {
					m.introspectionAliases++
				}
			}
			if len(field.SelectionSet) > 0 {
				sets = append(sets, field.SelectionSet)
			}
			sizes = append(sizes, sizesOf(field, defaults)...)
		}
		inner := m.groups(m.merge(sets), below, defaults)
		if len(sizes) > 0 {
			inner = []list{{sizes, inner}}
		}
		lists = append(lists, inner...)
	}
	return lists
}

// below returns the place below the fields of g. They have the same name, or validation refuses them.
func (at place) below(g group) place {
	at.depth++
	leads := false
	for _, field := range g {
		switch field.Name {
		case "__schema", "__type":
			at.introspecting = true
		case "fields", "inputFields", "interfaces", "possibleTypes":
			leads = true
		}
	}
	if at.introspecting && leads {
		at.lists++
	}
	return at
}
