package coercion_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/coercion/coerciontest/generated"
	"github.com/graphwarden/graphwarden/internal/fault"
)

// reading returns a mutation that runs before gqlgen reads the argument of the field read.
func reading(argument, declared string) string {
	return fmt.Sprintf(`mutation($v: %s) { write(text: "after") { read(%s: $v) } }`, declared, argument)
}

func TestVariablesAreCoercedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	for argument, test := range map[string]struct{ declared, value, message string }{
		"int":     {"Int", `"5"`, `variable $v: "5" is not an Int`},
		"string":  {"String", `5`, `variable $v: a number is not a String`},
		"float":   {"Float", `"1.5"`, `variable $v: "1.5" is not a Float`},
		"boolean": {"Boolean", `"true"`, `variable $v: "true" is not a Boolean`},
		"id":      {"ID", `5.5`, `variable $v: a number is not an ID`},
		"color":   {"Color", `"red"`, `variable $v: a string is not a value of the enum Color`},
		"day":     {"Day", `"yesterday"`, `variable $v: "yesterday" is not a Day: write it as 2006-01-02`},
		"big":     {"Big", `"many"`, `variable $v: "many" is not a Big`},
		"map":     {"Map", `5`, `variable $v: 5 is not a Map`},
		"upload":  {"Upload", `"file"`, `variable $v: "file" is not an Upload`},
		"fragile": {"Fragile", `5`, `variable $v: 5 is not a Fragile`},
		"must":    {"Int", `null`, `variable $v of type Int! must not be null`},
		"ints": {
			"[Int!]", `[1, null, "3"]`, "variable $v[1] of type Int! must not be null\nvariable $v[2]: \"3\" is not an Int",
		},
		"grid":   {"[[Int!]!]", `[[1], [2, 2.5]]`, `variable $v[1][1]: 2.5 is not an Int`},
		"colors": {"[Color!]", `{"RED": 1}`, `variable $v: an object is not a value of the enum Color`},
		"days":   {"[Day!]", `["2026-11-27", 5]`, `variable $v[1]: 5 is not a Day: write it as 2006-01-02`},
		"by":     {"By", `{"id": "1", "name": "a"}`, `variable $v: By takes exactly one of its fields, and not null`},
		"secret": {"Day", `"password"`, `variable $v: a string is not a Day: write it as 2006-01-02`},
		"tree": {
			"Tree", `{"leaf": {"int": 2147483648, "nmae": "x"}, "trees": [{}]}`,
			"variable $v.leaf.int: 2147483648 is not an Int, which has 32 bits\n" +
				"variable $v.leaf.nmae is not a field of Leaf\n" +
				"variable $v.trees[0].leaf of type Leaf! was not provided",
		},
	} {
		t.Run(argument, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.refused(t, s.send(t, reading(argument, test.declared), `{"v": `+test.value+`}`), "BAD_USER_INPUT", test.message)
		})
	}
}

// The expected results are those of graphql-js 16.
func TestBuiltInScalars(t *testing.T) {
	t.Parallel()
	for typ, test := range map[string]struct{ good, bad []string }{
		"Int": {
			[]string{`0`, `-0`, `5`, `5.0`, `5e0`, `50e-1`, `2147483647`, `-2147483648`, `null`},
			[]string{
				`2147483648`, `-2147483649`, `5.5`, `1e10`, `1e400`, `99999999999999999999`, `"5"`, `""`, `true`, `[1]`, `[]`, `{}`,
			},
		},
		"Float": {
			[]string{`0`, `1.5`, `5`, `1e30`, `-1e-30`, `99999999999999999999`, `null`},
			[]string{`1e400`, `"1.5"`, `"NaN"`, `"Infinity"`, `""`, `false`, `[1.5]`, `{}`},
		},
		"Boolean": {
			[]string{`true`, `false`, `null`},
			[]string{`"true"`, `""`, `1`, `0`, `[true]`, `{}`},
		},
		"String": {
			[]string{`""`, `"5"`, `null`},
			[]string{`5`, `1.5`, `true`, `["a"]`, `{}`},
		},
		"ID": {
			[]string{`""`, `"a"`, `5`, `-5`, `5.0`, `99999999999999999999999`, `null`},
			[]string{`5.5`, `true`, `["a"]`, `{}`},
		},
		"Color": {
			[]string{`"RED"`, `null`},
			[]string{`"red"`, `"BLUE"`, `""`, `0`, `true`, `["RED"]`, `{}`},
		},
		"[Int!]": {
			[]string{`5`, `[]`, `[1, 2.0]`, `null`},
			[]string{`[null]`, `["1"]`, `[[1]]`},
		},
		"[[Int!]!]": {
			[]string{`5`, `[]`, `[5]`, `[[5], []]`, `null`},
			[]string{`[null]`, `[[null]]`, `[["1"]]`},
		},
		"Tree": {
			[]string{
				`{"leaf": {}}`, `{"leaf": {"__typename": "Leaf"}}`,
				`{"leaf": {"days": "2026-11-27"}, "trees": {"leaf": {"int": null}}, "grid": 5}`, `null`,
			},
			[]string{
				`{}`, `[]`, `"leaf"`, `{"leaf": null}`, `{"leaf": {"name": null}}`, `{"leaf": {"color": null}}`,
				`{"leaf": {}, "leaves": 1}`,
			},
		},
		"By": {
			[]string{`{"id": "1"}`, `{"name": "a"}`, `null`},
			[]string{`{}`, `{"id": null}`, `{"id": "1", "name": null}`, `{"id": "1", "name": "a"}`},
		},
	} {
		argument := map[string]string{"[Int!]": "ints", "[[Int!]!]": "grid"}[typ]
		if argument == "" {
			argument = strings.ToLower(typ)
		}
		s := start(t)
		for _, value := range test.good {
			if a := s.send(t, reading(argument, typ), `{"v": `+value+`}`); len(a.Errors) > 0 {
				t.Errorf("%s as %s is refused: %s", value, typ, a.body)
			}
		}
		s.resolver.Ran.Store(0)
		for _, value := range test.bad {
			if a := s.send(t, reading(argument, typ), `{"v": `+value+`}`); a.status != http.StatusBadRequest || a.Data != nil {
				t.Errorf("%s as %s is accepted: %s", value, typ, a.body)
			}
		}
		if ran := s.resolver.Ran.Load(); ran > 0 {
			t.Errorf("%s: the mutation ran %d times", typ, ran)
		}
	}
}

func TestLiteralsAreCoercedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	const invalid, bad = "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"
	for literal, test := range map[string]struct{ code, message string }{
		`int: "5"`:        {invalid, `argument int of read: "5" is not an Int`},
		`int: 5.0`:        {invalid, `argument int of read: 5.0 is not an Int`},
		`int: 2147483648`: {invalid, `argument int of read: 2147483648 is not an Int, which has 32 bits`},
		`int: 99999999999999999999`: {
			invalid, `argument int of read: 99999999999999999999 is not an Int, which has 32 bits`,
		},
		`float: "1.5"`:          {invalid, `argument float of read: "1.5" is not a Float`},
		`float: 1e400`:          {invalid, `argument float of read: 1e400 is not a Float`},
		`string: 5`:             {invalid, `argument string of read: a number is not a String`},
		`string: secretWord`:    {invalid, `argument string of read: a name is not a String`},
		`boolean: "true"`:       {invalid, `argument boolean of read: "true" is not a Boolean`},
		`boolean: "a password"`: {invalid, `argument boolean of read: a string is not a Boolean`},
		`id: 5.5`:               {invalid, `argument id of read: a number is not an ID`},
		`color: "RED"`:          {invalid, `argument color of read: a string is not a value of the enum Color`},
		`color: BLUE`:           {invalid, `argument color of read: a name is not a value of the enum Color`},
		`colors: [RED, 5]`: {
			invalid, `argument colors[1] of read: a number is not a value of the enum Color`,
		},
		`tree: {leaf: {nmae: "a"}}`:     {invalid, `argument tree.leaf.nmae of read is not a field of Leaf`},
		`tree: {leaf: {}, trees: [{}]}`: {invalid, `argument tree.trees[0].leaf of read of type Leaf! was not provided`},
		`tree: {leaf: null}`:            {invalid, `argument tree.leaf of read of type Leaf! must not be null`},
		`by: {id: "1", name: "a"}`: {
			invalid, `argument by of read: By takes exactly one of its fields, and not null`,
		},
		`must: null`:                       {invalid, `argument must of read of type Int! must not be null`},
		`any: {a: [99999999999999999999]}`: {invalid, `argument any of read contains a number that is too large`},
		`day: "yesterday"`:                 {bad, `argument day of read: "yesterday" is not a Day: write it as 2006-01-02`},
		`day: 5`:                           {bad, `argument day of read: 5 is not a Day: write it as 2006-01-02`},
		`day: yesterday`:                   {bad, `argument day of read: "yesterday" is not a Day: write it as 2006-01-02`},
		`days: ["2026-11-27", "never"]`:    {bad, `argument days[1] of read: "never" is not a Day: write it as 2006-01-02`},
		`tree: {leaf: {day: "never"}}`: {
			bad, `argument tree.leaf.day of read: "never" is not a Day: write it as 2006-01-02`,
		},
		`tree: {leaf: {secret: "password"}}`: {
			bad, `argument tree.leaf.secret of read: a string is not a Day: write it as 2006-01-02`,
		},
		`secret: "password"`: {bad, `argument secret of read: a string is not a Day: write it as 2006-01-02`},
		`fragile: {a: 1}`:    {bad, `argument fragile of read: an object is not a Fragile`},
		`map: "a"`:           {bad, `argument map of read: "a" is not a Map`},
		`upload: "a"`:        {bad, `argument upload of read: "a" is not an Upload`},
		`big: true`:          {bad, `argument big of read: true is not a Big`},
		`big: "` + strings.Repeat("many", 20) + `"`: {
			bad, `argument big of read: "` + strings.Repeat("many", 16) + `…" is not a Big`,
		},
	} {
		t.Run(literal, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for range 2 { // the second time, the document may be cached
				s.refused(t, s.send(t, `mutation { write(text: "after") { read(`+literal+`) } }`, `{}`), test.code, test.message)
			}
			skipped := s.send(t, `mutation { write(text: "after") { read(`+literal+`) @skip(if: true) } }`, `{}`)
			s.refused(t, skipped, test.code, test.message)
		})
	}
}

// The same value reaches a custom scalar in many ways.
func TestCustomScalarsAreCoercedEverywhere(t *testing.T) {
	t.Parallel()
	const day = `"never" is not a Day: write it as 2006-01-02`
	for document, test := range map[string]struct{ variables, message string }{
		`mutation($v: Day!) { write(text: "a") { ...F } } fragment F on Written { ... on Reader { read(day: $v) } }`: {
			`{"v": "never"}`, `variable $v: ` + day,
		},
		`mutation($v: Day) { write(text: "a") { reader { read(day: $v) } } }`: {
			`{"v": "never"}`, `variable $v: ` + day,
		},
		`mutation($v: Day, $no: Boolean!) { write(text: "a") { read(day: $v) @include(if: $no) } }`: {
			`{"v": "never", "no": false}`, `variable $v: ` + day,
		},
		`mutation($v: Day!) { write(text: "a") { read(tree: {leaf: {days: [$v]}}) } }`: {
			`{"v": "never"}`, `variable $v: ` + day,
		},
		`mutation($v: [Day!]) { write(text: "a") { read(tree: {leaf: {days: $v}}) } }`: {
			`{"v": ["2026-11-27", "never"]}`, `variable $v[1]: ` + day,
		},
		`mutation($v: Leaf!) { write(text: "a") { read(tree: {leaf: $v}) } }`: {
			`{"v": {"day": "never"}}`, `variable $v.day: ` + day,
		},
		`mutation($v: Day = "never") { write(text: "a") { read(day: $v) } }`: {
			`{}`, `variable $v: ` + day,
		},
		`mutation($v: Int) { write(text: "a") { read(int: $v, day: "never") } }`: {
			`{"v": 5}`, `argument day of read: ` + day,
		},
		`mutation($v: Int) { write(text: "a") { read(tree: {leaf: {day: "never", int: $v}}) } }`: {
			`{"v": 5}`, `argument tree.leaf.day of read: ` + day,
		},
		`mutation($v: Day) { a: write(text: "a") { text } b: write(text: "b") { x: read(day: $v) y: read(day: $v) } }`: {
			`{"v": "never"}`, `variable $v: ` + day,
		},
		`mutation A($v: Day) { write(text: "a") { read(day: $v) } }`: {
			`{"v": 2026.5}`, `variable $v: 2026.5 is not a Day: write it as 2006-01-02`,
		},
		`mutation($v: Int = null) { write(text: "a") { read(must: $v) } }`: {
			`{}`, `variable $v of type Int! must not be null`,
		},
	} {
		s := start(t)
		s.refused(t, s.send(t, document, test.variables), "BAD_USER_INPUT", test.message)
		if t.Failed() {
			t.Fatal(document)
		}
	}
}

func TestRefusedVariablesAreNamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.send(t, `mutation Write($text: String!,
	$tree: Tree!, $id: ID!, $f: Float, $unused: Boolean!) {
		write(text: $text) { read(tree: $tree, id: $id, float: $f) @include(if: $unused) }
	}`, `{"tree": {"leaf": {"int": "x"}}, "id": null, "f": true, "else": 1}`)
	s.refused(t, a, "BAD_USER_INPUT", strings.Join([]string{
		`variable $f: true is not a Float`,
		`variable $id of type ID! must not be null`,
		`variable $text of type String! was not provided`,
		`variable $tree.leaf.int: "x" is not an Int`,
		`variable $unused of type Boolean! was not provided`,
	}, "\n"))
	want := []fault.Field{
		{Path: "text", Reason: fault.Required},
		{Path: "tree.leaf.int", Reason: fault.Malformed},
		{Path: "id", Reason: fault.Required},
		{Path: "float", Reason: fault.Malformed},
		{Path: "unused", Reason: fault.Required},
	}
	got := a.Errors[0].Extensions.Fields
	for i := range got {
		got[i].Message = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if at := a.Errors[0].Locations[1]; at.Line != 2 || at.Column != 2 {
		t.Errorf("location of the second: %v", at)
	}
}

func TestTheListOfProblemsIsLimited(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.send(t, reading("ints", "[Int!]"), `{"v": [`+strings.Repeat(`"x",`, 5_000)+`1]}`)
	if n := len(a.Errors[0].Extensions.Fields); n != 10 || len(a.body) > 4000 {
		t.Errorf("%d problems, %d bytes", n, len(a.body))
	}
}

// An invalid document is refused with validation errors, even if its variables are wrong.
func TestValidationComesFirst(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.send(t, `mutation($v: Int!) { write(text: "a") { raed(int: $v) red } }`, `{"v": "x"}`)
	if len(a.Errors) != 2 || a.Errors[0].Extensions.Code != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("%s", a.body)
	}
}

func TestOneOfTwoOperationsIsCoerced(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.send(t, `query A { written } mutation B($v: Int!) { write(text: "a") { read(int: $v) } }`, `{}`)
	if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "operation") {
		t.Errorf("%s", a.body)
	}
}

func TestDirectivesAreCoercedToo(t *testing.T) {
	t.Parallel()
	s := start(t)
	for document, test := range map[string]struct{ variables, code, message string }{
		`mutation($n: Int) { write(text: "a") { text @note(times: $n) } }`: {
			`{"n": "2"}`, "BAD_USER_INPUT", `variable $n: "2" is not an Int`,
		},
		`mutation { write(text: "a") { text @note(times: "2") } }`: {
			`{}`, "GRAPHQL_VALIDATION_FAILED", `argument times of @note: "2" is not an Int`,
		},
		`mutation($n: Int = "2") { write(text: "a") { text @note(times: $n) } }`: {
			`{"n": 2}`, "GRAPHQL_VALIDATION_FAILED", `the default of $n: "2" is not an Int`,
		},
	} {
		s.refused(t, s.send(t, document, test.variables), test.code, test.message)
	}
}

func TestGeneratedCodeOlderThanTheSchemaIsRefused(t *testing.T) {
	t.Parallel()
	executable := generated.NewExecutableSchema(generated.Config{})
	unmarshal := generated.Arguments(executable)
	if err := coercion.NewExtension(executable.Schema(), unmarshal, nil, nil).Validate(executable); err != nil {
		t.Errorf("complete: %v", err)
	}
	delete(unmarshal, "Written.read.day")
	err := coercion.NewExtension(executable.Schema(), unmarshal, nil, nil).Validate(executable)
	if err == nil || !strings.Contains(err.Error(), "Written.read.day") {
		t.Errorf("one is missing: %v", err)
	}
}

func TestSensitiveValuesAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ document, variables string }{
		{
			`mutation($v: Int) { write(text: "a") { read(pin: $v) } }`,
			`{"v": 1234.5}`,
		},
		{
			`mutation($v: Int) { write(text: "a") { read(int: $v) ...F } } fragment F on Written { read(pin: $v) }`,
			`{"v": 1234.5}`,
		},
		{
			`mutation { write(text: "a") { read(pin: 1234.5) } }`,
			`{}`,
		},
		{
			`mutation($v: Day) { write(text: "a") { read(secret: $v) } }`,
			`{"v": "1234.5"}`,
		},
		{
			`mutation($v: Day) { write(text: "a") { read(tree: {leaf: {secret: $v}}) } }`,
			`{"v": "1234.5"}`,
		},
		{
			`mutation($v: Tree) { write(text: "a") { read(tree: $v) } }`,
			`{"v": {"leaf": {}, "trees": [{"leaf": {"secret": "1234.5"}}]}}`,
		},
		{
			`mutation { write(text: "a") { read(tree: {leaf: {secret: "1234.5"}}) } }`,
			`{}`,
		},
	} {
		a := start(t).send(t, test.document, test.variables)
		if a.status != http.StatusBadRequest || strings.Contains(a.body, "1234") {
			t.Errorf("%s: %s", test.document, a.body)
		}
	}
}
