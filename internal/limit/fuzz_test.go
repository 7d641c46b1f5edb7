package limit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/limit"
)

// FuzzDocument checks that the work of Parse is linear in the document, and that it accepts no document beyond the
// bounds.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{ a }`,
		`{ ...F } fragment F on T { ...F }`,
		`{ ...A ...A } fragment A on T { ...B ...B } fragment B on T { ...C ...C } fragment C on T { a b }`,
		`query Q($n: Int = 3, $o: In = {a: [[1]]}) @d { x: a(first: $n, o: $o) { b(last: 7) { c } } }`,
		`{ __schema { types { fields { type { fields { name } } } } } }`,
		`{ a a a x: a ... { a } ... on T { a } }`,
		`subscription { a } mutation { b } query C { c }`,
		`{ a(t: """block""") # comment`,
		`fragment F on T { a } fragment F on T { ...F }`,
		`{ a(first: 99999999999999999999) { b } }`,
	} {
		f.Add(seed, `{"n": 2, "o": [1]}`)
	}
	b := limit.Bounds{
		DocumentBytes:        4096,
		Tokens:               400,
		Depth:                6,
		Fields:               60,
		Aliases:              5,
		IntrospectionAliases: 2,
		IntrospectionDepth:   2,
		Repeats:              6,
		RepeatPairs:          30,
		RootFields:           8,
		Directives:           9,
		ElementDirectives:    3,
		ListItems:            200,
		InputDepth:           4,
		VariableBytes:        200,
		VariableValues:       20,
	}
	f.Fuzz(func(t *testing.T, text, variables string) {
		if steps := b.Steps(text); steps > b.Tokens+2*b.Fields {
			t.Errorf("%d selections visited", steps)
		}
		lists, err := b.Parse(text)
		if err != nil {
			if fault.As(err) == nil && !strings.HasPrefix(err.Error(), "input:") {
				t.Errorf("neither a fault nor a syntax error: %v", err)
			}
			return
		}
		doc, err := parser.ParseQuery(&ast.Source{Input: text})
		if err != nil {
			t.Fatalf("accepted, but not GraphQL: %v", err)
		}
		for _, op := range doc.Operations {
			if fields, depth := flat(doc, op.SelectionSet, b.Fields+1); fields > b.Fields || depth > b.Depth {
				t.Errorf("accepted with %d fields, %d deep", fields, depth)
			}
		}
		var values map[string]any
		decoder := json.NewDecoder(strings.NewReader(variables))
		decoder.UseNumber()
		if decoder.Decode(&values) == nil && b.Variables(values) == nil {
			_ = lists.Check(&b, "", values) // must return, with or without an error
		}
	})
}

// flat returns the number of fields and their depth with all fragments expanded. It stops after most fields.
func flat(doc *ast.QueryDocument, set ast.SelectionSet, most int) (fields, depth int) {
	add := func(more, below int) { fields, depth = fields+more, max(depth, below) }
	for _, selection := range set {
		if fields > most {
			break
		}
		switch s := selection.(type) {
		case *ast.Field:
			n, below := flat(doc, s.SelectionSet, most-fields)
			add(n+1, below+1)
		case *ast.InlineFragment:
			add(flat(doc, s.SelectionSet, most-fields))
		case *ast.FragmentSpread:
			if fragment := doc.Fragments.ForName(s.Name); fragment != nil {
				add(flat(doc, fragment.SelectionSet, most-fields))
			}
		}
	}
	return fields, depth
}
