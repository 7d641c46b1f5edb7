package limit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/limit"
)

// wide returns bounds that no test document exceeds.
func wide() limit.Bounds {
	const plenty = 1000
	return limit.Bounds{
		DocumentBytes:        1 << 20,
		Tokens:               2000,
		Depth:                plenty,
		Fields:               plenty,
		Aliases:              plenty,
		Repeats:              plenty,
		RepeatPairs:          1000 * plenty,
		RootFields:           plenty,
		Directives:           plenty,
		ElementDirectives:    plenty,
		ListItems:            plenty,
		InputDepth:           plenty,
		VariableBytes:        plenty,
		VariableValues:       plenty,
		IntrospectionDepth:   plenty,
		IntrospectionAliases: plenty,
	}
}

// reason returns why b refuses a document, "" if b accepts it.
func reason(t *testing.T, b limit.Bounds, text string) fault.Reason {
	t.Helper()
	_, err := b.Parse(text)
	if err == nil {
		return ""
	}
	f := fault.As(err)
	if f == nil {
		t.Fatalf("%s: %v", text, err)
	}
	if f.Reason == "" {
		return fault.Reason(f.Message)
	}
	return f.Reason
}

// times repeats a text n times, with # replaced by the number of the repetition.
func times(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", fmt.Sprint(i)) + " ")
	}
	return b.String()
}

func TestBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason fault.Reason
		bound  func(*limit.Bounds) *int
		at     int
		text   string
	}{
		"bytes": {
			fault.DocumentTooLarge, func(b *limit.Bounds) *int { return &b.DocumentBytes }, 11,
			`{ a { b } }`,
		},
		"aliases of introspection": {
			fault.TooManyAliases, func(b *limit.Bounds) *int { return &b.IntrospectionAliases }, 2,
			`{ x: a y: __schema { z: types { name } } }`,
		},
		"tokens": {
			fault.TooManyTokens, func(b *limit.Bounds) *int { return &b.Tokens }, 6,
			`{ a { b } }`,
		},
		"depth": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 3,
			`{ a { b { c } } x }`,
		},
		"depth through a fragment": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 3,
			`{ a { ...F } } fragment F on T { b { ... { c } } }`,
		},
		"depth of merged fields": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 3,
			`{ a { x } a { b { c } } }`,
		},
		"depth below __schema": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 4,
			`{ __schema { types { kind { x } } } }`,
		},
		"depth of a second operation": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 2,
			`query A { a } query B { a { b } }`,
		},
		"depth of fragments": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 3,
			`{ ...C } fragment A on T { a } fragment B on T { ...A } fragment C on T { ...B }`,
		},
		"depth of unused fragments": {
			fault.TooDeep, func(b *limit.Bounds) *int { return &b.Depth }, 2,
			`{ a } fragment B on T { ...A } fragment A on T { a }`,
		},
		"fields": {
			fault.TooManyFields, func(b *limit.Bounds) *int { return &b.Fields }, 3,
			`{ a { b } c }`,
		},
		"fields of fragments": {
			fault.TooManyFields, func(b *limit.Bounds) *int { return &b.Fields }, 6,
			`{ ...F ...F } fragment F on T { ... { a } }`,
		},
		"fields of several operations": {
			fault.TooManyFields, func(b *limit.Bounds) *int { return &b.Fields }, 4,
			`query A { a b } query B { a b }`,
		},
		"fields of a fragment not used": {
			fault.TooManyFields, func(b *limit.Bounds) *int { return &b.Fields }, 3,
			`{ a } fragment F on T { a b c }`,
		},
		"aliases": {
			fault.TooManyAliases, func(b *limit.Bounds) *int { return &b.Aliases }, 2,
			`{ x: a y: a { z } }`,
		},
		"aliases through a fragment": {
			fault.TooManyAliases, func(b *limit.Bounds) *int { return &b.Aliases }, 2,
			`{ a { ...F } b { ...F } } fragment F on T { x: c }`,
		},
		"repeats": {
			fault.TooManyRepeats, func(b *limit.Bounds) *int { return &b.Repeats }, 3,
			`{ a a b x: a a }`,
		},
		"repeats through fragments": {
			fault.TooManyRepeats, func(b *limit.Bounds) *int { return &b.Repeats }, 3,
			`{ a ...F ...F } fragment F on T { ... { a } }`,
		},
		"repeats of merged fields": {
			fault.TooManyRepeats, func(b *limit.Bounds) *int { return &b.Repeats }, 4,
			`{ a { b b } a { b b } }`,
		},
		"pairs of repeats": {
			fault.TooManyRepeats, func(b *limit.Bounds) *int { return &b.RepeatPairs }, 5,
			`{ a a a x { b } x { b } }`,
		},
		"root fields": {
			fault.TooManyRootFields, func(b *limit.Bounds) *int { return &b.RootFields }, 3,
			`{ a ...F a } fragment F on T { b c { d e f } }`,
		},
		"directives": {
			fault.TooManyDirectives, func(b *limit.Bounds) *int { return &b.Directives }, 6,
			`query($v: T @a) @a { b @a ...F @a ... @a { c } } fragment F on T @a { d }`,
		},
		"directives of one element": {
			fault.TooManyDirectives, func(b *limit.Bounds) *int { return &b.ElementDirectives }, 2,
			`{ b @a @a c @a }`,
		},
		"items": {
			fault.TooManyItems, func(b *limit.Bounds) *int { return &b.ListItems }, 10,
			`{ a(first: 10) { b } }`,
		},
		"items of lists within lists": {
			fault.TooManyItems, func(b *limit.Bounds) *int { return &b.ListItems }, 220,
			`{ a(first: 10) { nodes { b(last: 20) { c } } } x(first: 10) { y } }`,
		},
		"items of the longer": {
			fault.TooManyItems, func(b *limit.Bounds) *int { return &b.ListItems }, 20,
			`{ a(first: 10, last: 20) { b } }`,
		},
		"depth of a list": {
			fault.InputTooDeep, func(b *limit.Bounds) *int { return &b.InputDepth }, 3,
			`{ a(x: [[[1]]]) }`,
		},
		"depth of an object": {
			fault.InputTooDeep, func(b *limit.Bounds) *int { return &b.InputDepth }, 3,
			`{ a(x: {b: [{c: 1}]}) }`,
		},
		"depth of a directive's value": {
			fault.InputTooDeep, func(b *limit.Bounds) *int { return &b.InputDepth }, 2,
			`{ a @b(c: [[1]]) }`,
		},
		"depth of a default": {
			fault.InputTooDeep, func(b *limit.Bounds) *int { return &b.InputDepth }, 2,
			`query($v: T = [[1]]) { a(x: $v) }`,
		},
		"introspection": {
			fault.IntrospectionTooDeep, func(b *limit.Bounds) *int { return &b.IntrospectionDepth }, 2,
			`{ __type(name: "T") { fields { type { inputFields { name } } } } }`,
		},
		"introspection through fragment": {
			fault.IntrospectionTooDeep, func(b *limit.Bounds) *int { return &b.IntrospectionDepth }, 2,
			`{ __schema { types { ...F } } } fragment F on __Type { interfaces { possibleTypes { name } } }`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := wide()
			*test.bound(&b) = test.at
			if got := reason(t, b, test.text); got != "" {
				t.Errorf("refused at the bound: %s", got)
			}
			*test.bound(&b) = test.at - 1
			if got := reason(t, b, test.text); got != test.reason {
				t.Errorf("beyond the bound: %q, want %s", got, test.reason)
			}
		})
	}
}

// The response repeats an alias for each item of a list.
func TestAliasLength(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for _, text := range []string{
		`{ #: a }`,
		`{ a(first: 10) { #: b } }`,
		`{ a { ...F } } fragment F on T { ... { #: b } }`,
	} {
		if got := reason(t, wide(), strings.ReplaceAll(text, "#", long)); got != "" {
			t.Errorf("%s at the bound is refused: %s", text, got)
		}
		if got := reason(t, wide(), strings.ReplaceAll(text, "#", long+"x")); got != fault.DocumentTooLarge {
			t.Errorf("%s beyond the bound: %q", text, got)
		}
	}
}

func TestOnlyIntrospectionCountsAsIntrospection(t *testing.T) {
	t.Parallel()
	b := wide()
	b.IntrospectionDepth = 1
	if got := reason(t, b, `{ form { fields { type { fields { name } } } } }`); got != "" {
		t.Errorf("a team's own fields: %s", got)
	}
	// The name __schema does not exempt a user's field, alias or fragment from the bounds.
	b.Depth, b.Fields = 3, 8
	for name, text := range map[string]string{
		"a field":           `{ me { __schema { a { b } } } }`,
		"an alias":          `{ __schema: me { a { b { c } } } }`,
		"a fragment":        `{ ...__schema } fragment __schema on T { a { b { c { d } } } }`,
		"fields of a field": `{ __schema { ` + times(9, "a#") + ` } }`,
	} {
		if got := reason(t, b, text); got != fault.TooDeep && got != fault.TooManyFields {
			t.Errorf("%s named __schema: %q", name, got)
		}
	}
}

func TestRecursiveFragmentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"itself":               `{ ...A } fragment A on T { a ...A }`,
		"two":                  `{ ...A } fragment A on T { ...B } fragment B on T { a { ...A } }`,
		"not used":             `{ a } fragment A on T { ... { ...A ...A } }`,
		"the second of a name": `{ ...A } fragment A on T { a } fragment A on T { ...B } fragment B on T { ...B }`,
		"only through another": `{ ...A ...A } fragment A on T { ...B ...C ...C } fragment B on T { b }
			fragment C on T { ...A }`,
	} {
		if got := reason(t, wide(), text); got != "a fragment must not spread itself" {
			t.Errorf("%s: %q", name, got)
		}
	}
	const acyclic = `{ ...A ...Missing } fragment A on T { ...B ...B } fragment B on T { a ...Missing }`
	if got := reason(t, wide(), acyclic); got != "" {
		t.Errorf("no cycle: %q", got)
	}
}

// The number of visited selections is bounded by the document and by the bound on fields.
func TestBombsCostLittle(t *testing.T) {
	t.Parallel()
	var nested strings.Builder
	for i := range 22 {
		fmt.Fprintf(&nested, "fragment F%d on T { ...F%d ...F%d } ", i, i+1, i+1)
	}
	for name, text := range map[string]string{
		"nested fragments":           `{ ...F0 } ` + nested.String() + `fragment F22 on T { a }`,
		"nested, without a field":    `{ ...F0 } ` + nested.String(),
		"nested, below __schema":     `{ __schema { ...F0 } } ` + nested.String() + `fragment F22 on T { a }`,
		"nested, never spread":       `{ a } ` + nested.String(),
		"nested, in many operations": times(20, `query Q# { ...F0 }`) + nested.String() + `fragment F22 on T { a }`,
		"nested in a cycle":          `{ ...F0 } ` + nested.String() + `fragment F22 on T { ...F0 ...F0 }`,
		"repeated fields":            `{ ` + times(1990, "a") + `}`,
		"fields":                     `{ ` + times(1990, "f#") + `}`,
		"many fragments":             `{ ` + times(50, "...F#") + `} ` + times(50, "fragment F# on T { a b c d e f g h j }"),
		"merged fields":              `{ ` + times(44, "a { "+times(40, "b")+"}") + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := wide()
			if steps := b.Steps(text); steps == 0 || steps > b.Tokens+2*b.Fields {
				t.Errorf("%d steps", steps)
			}
		})
	}
}

func TestItemsByVariables(t *testing.T) {
	t.Parallel()
	b := wide()
	b.ListItems = 100
	const text = `query A($n: Int, $m: Int = 3) { a(first: $n) { b(last: $m) { c } } }
		query B($n: Int) { b(first: $n) { c } }
		query C { c(first: 100) { d } }`
	lists, err := b.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		operation, variables string
		refused              bool
	}{
		"at the bound, by the default":   {"A", `{"n": 25}`, false},
		"beyond it, by the default":      {"A", `{"n": 26}`, true},
		"at the bound":                   {"A", `{"n": 10, "m": 9}`, false},
		"beyond it":                      {"A", `{"n": 10, "m": 10}`, true},
		"null is not a number":           {"A", `{"n": 100, "m": null}`, false},
		"no variables":                   {"A", `{}`, false},
		"negative":                       {"A", `{"n": -1000, "m": 1000}`, false},
		"more than an integer holds":     {"A", `{"n": 99999999999999999999999, "m": 1}`, true},
		"products beyond an integer":     {"A", `{"n": 2147483647, "m": 2147483647}`, true},
		"another operation":              {"B", `{"n": 100}`, false},
		"another operation, beyond":      {"B", `{"n": 101}`, true},
		"an operation without variables": {"C", `{"n": 101}`, false},
		"a variable without a name":      {"C", `{"": 101}`, false},
		"no operation name":              {"", `{"n": 101}`, true},
	} {
		var variables map[string]any
		decoder := json.NewDecoder(strings.NewReader(test.variables))
		decoder.UseNumber()
		if err := decoder.Decode(&variables); err != nil {
			t.Fatal(err)
		}
		err := lists.Check(&b, test.operation, variables)
		if refused := fault.Is(err, fault.TooManyItems); refused != test.refused || !refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := reason(t, b, `query($n: Int) { a(first: $n) { b } x(first: 101) { y } }`); got != fault.TooManyItems {
		t.Errorf("too many with any variables: %q", got)
	}
	mixed, err := b.Parse(`query($n: Int) { a(first: 10) { b(first: $n) { c } } }`)
	if err != nil {
		t.Fatal(err)
	}
	if err := mixed.Check(&b, "", map[string]any{"n": json.Number("9"), "": json.Number("1000")}); err != nil {
		t.Errorf("a variable without a name changes a number: %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	b := wide()
	b.InputDepth, b.VariableBytes, b.VariableValues = 3, 20, 6
	for name, test := range map[string]struct {
		variables map[string]any
		reason    fault.Reason
	}{
		"none":            {nil, ""},
		"deep":            {map[string]any{"a": []any{map[string]any{"b": []any{}}}}, ""},
		"too deep":        {map[string]any{"a": []any{map[string]any{"b": []any{[]any{}}}}}, fault.InputTooDeep},
		"long":            {map[string]any{"name": strings.Repeat("x", 16)}, ""},
		"too long":        {map[string]any{"name": strings.Repeat("x", 17)}, fault.VariablesTooLarge},
		"a long number":   {map[string]any{"name": json.Number(strings.Repeat("1", 17))}, fault.VariablesTooLarge},
		"long names":      {map[string]any{"a": map[string]any{strings.Repeat("x", 20): nil}}, fault.VariablesTooLarge},
		"many":            {map[string]any{"a": []any{1, 2, 3, 4, 5}}, ""},
		"too many":        {map[string]any{"a": []any{1, 2, 3, 4, 5, 6}}, fault.VariablesTooLarge},
		"too many beside": {map[string]any{"a": []any{1, 2}, "b": []any{}, "c": []any{[]any{}}}, ""},
	} {
		err := b.Variables(test.variables)
		if test.reason == "" && err != nil || test.reason != "" && !fault.Is(err, test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSyntaxErrorsAreTheParsers(t *testing.T) {
	t.Parallel()
	b := wide()
	if _, err := b.Parse(`{ a `); err == nil || fault.As(err) != nil {
		t.Errorf("got %v", err)
	}
}
