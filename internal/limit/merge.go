package limit

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// group is all fields of one response key at one place of the answer, which execution merges into one.
type group []*ast.Field

// place is where in the answer groups are.
type place struct {
	depth int
	// introspecting is set below __schema and __type, wherever they stand; lists counts the lists since
	// that lead from one type to others.
	introspecting bool
	lists         int
}

// operation judges what the operation merges to. No fragment spreads itself and the size of all is
// bounded, so that this ends soon.
func (m *measure) operation(op *ast.OperationDefinition) {
	m.aliases, m.introspectionAliases = 0, 0
	defaults := make(map[string]*ast.Value, len(op.VariableDefinitions))
	for _, v := range op.VariableDefinitions {
		defaults[v.Variable] = v.DefaultValue
	}
	root := m.merge([]ast.SelectionSet{op.SelectionSet})
	m.refuse(len(root) > m.bounds.RootFields, fault.TooManyRootFields, "an operation may have at most %d root fields", m.bounds.RootFields)
	lists := m.groups(root, place{depth: 1}, defaults)
	m.refuse(m.aliases > m.bounds.Aliases, fault.TooManyAliases, "an operation may have at most %d aliases", m.bounds.Aliases)
	m.refuse(m.introspectionAliases > m.bounds.IntrospectionAliases, fault.TooManyAliases, "introspection may have at most %d aliases", m.bounds.IntrospectionAliases)
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

// groups judges the groups at one place and all below, and returns the lists that they ask for.
func (m *measure) groups(all []group, at place, defaults map[string]*ast.Value) (lists []list) {
	for _, g := range all {
		m.refuse(at.depth > m.bounds.Depth, fault.TooDeep, "fields may nest at most %d deep", m.bounds.Depth)
		m.refuse(len(g) > m.bounds.Repeats, fault.TooManyRepeats, "one field may be selected at most %d times at one place", m.bounds.Repeats)
		m.pairs += len(g) * (len(g) - 1) / 2
		m.refuse(m.pairs > m.bounds.RepeatPairs, fault.TooManyRepeats, "a document may have at most %d pairs of repeated fields", m.bounds.RepeatPairs)
		if m.refusal != nil {
			return nil
		}
		below := at.below(g)
		m.refuse(below.lists > m.bounds.IntrospectionDepth, fault.IntrospectionTooDeep, "introspection may go from type to type at most %d times", m.bounds.IntrospectionDepth)
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

// below is the place below the fields of g, which have one name unless validation is to refuse them.
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
