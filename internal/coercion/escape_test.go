package coercion_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"

	"github.com/graphwarden/graphwarden/internal/coercion"
)

func TestUnpairedSurrogatesAreSyntaxErrors(t *testing.T) {
	t.Parallel()
	for literal, half := range map[string]bool{
		`"\ud83d\ude00"`:             false,
		`"\uD83D\uDE00"`:             false,
		`"\u{1F600}"`:                false,
		`"😀"`:                        false,
		`"\\ud83d"`:                  false,
		`"\"\\\\ud83d"`:              false,
		`"""\ud83d"""`:               false,
		`"""\""" \ud83d """`:         false,
		`"""a"" \ud83d""""`:          false,
		`"" #\ud83d` + "\n":          false,
		`"\ud7ff\ue000"`:             false,
		`"\ud83d\ude00\ud83d\ude00"`: false,
		`"\ud83d"`:                   true,
		`"\ude00"`:                   true,
		`"\ude00\ud83d"`:             true,
		`"\ud83d\ud83d\ude00"`:       true,
		`"\ud83dx\ude00"`:            true,
		`"\ud83d\n\ude00"`:           true,
		`"\ud83d\u{de00}"`:           true,
		`"\\\ud83d"`:                 true,
		`"""a""" b: "\ud83d"`:        true,
		`"#" b: "\ud83d"`:            true,
		`""""a""" b: "\ud83d"`:       true,
		`"\ud83d\ude00\ude00"`:       true,
	} {
		err := coercion.CheckEscapes("{ é(a:\r\n" + literal + ") }")
		if (err != nil) != half {
			t.Errorf("%s: %v", literal, err)
		}
		if err != nil && err.Locations[0].Line != 2 {
			t.Errorf("%s: %v", literal, err.Locations)
		}
	}
	if at := coercion.CheckEscapes("{ a }\r{ \"é\", \"\\ud83d\" }").Locations[0]; at.Line != 2 || at.Column != 9 {
		t.Errorf("location %v", at)
	}
}

func TestEscapes(t *testing.T) {
	t.Parallel()
	s := start(t)
	for literal, want := range map[string]string{
		`"\ud83d\ude00"`: "😀",
		`"\u{1F600}"`:    "😀",
		`"\u{00000041}"`: "A",
		`"""\ud83d"""`:   `\\ud83d`,
		`"😀"`:            "😀",
	} {
		a := s.send(t, `mutation { write(text: `+literal+`) { text } }`, `{}`)
		if !strings.Contains(a.body, `"text":"`+want+`"`) {
			t.Errorf("%s: %s", literal, a.body)
		}
	}
	s.resolver.Ran.Store(0)
	for _, literal := range []string{`"\ud83d"`, `"\ude00\ud83d"`} {
		a := s.send(t, `mutation { write(text: `+literal+`) { text } }`, `{}`)
		s.refused(t, a, "GRAPHQL_PARSE_FAILED", "half of a surrogate pair is not a character")
	}
	for _, literal := range []string{`"\u{D83D}"`, `"\u{110000}"`, `"\u{}"`, `"\u{1F600"`, `"\u12"`} {
		if a := s.send(t, `mutation { write(text: `+literal+`) { text } }`, `{}`); a.Data != nil || len(a.Errors) != 1 {
			t.Errorf("%s: %s", literal, a.body)
		}
	}
}

// FuzzEscapes compares CheckEscapes with a regular expression, applied to the strings that gqlparser's lexer finds.
func FuzzEscapes(f *testing.F) {
	for _, seed := range []string{
		`{ a(b: "\ud83d\ude00", c: """\ud83d""") }`,
		`"\ud83d" # "\ude00"`,
		`"\\\ud83d\u{de00}"`,
		`"""\""" "\ude00" """ "\ude00"`,
		`"" "\ud83d\ud83d"`,
	} {
		f.Add(seed)
	}
	escape := regexp.MustCompile(`(?s)\\u([0-9a-fA-F]{4})|\\.|.`)
	f.Fuzz(func(t *testing.T, document string) {
		l := lexer.New(&ast.Source{Input: document})
		text, half := []rune(document), false
		for {
			token, err := l.ReadToken()
			if err != nil {
				return // the parser refuses it
			}
			if token.Kind == lexer.EOF {
				break
			}
			if token.Kind != lexer.String {
				continue
			}
			var units []uint16
			for _, match := range escape.FindAllStringSubmatch(string(text[token.Pos.Start:token.Pos.End]), -1) {
				unit := uint16('x')
				if digits := match[1]; digits != "" {
					unit = 0
					for _, digit := range strings.ToLower(digits) {
						unit = unit<<4 | uint16(strings.IndexRune("0123456789abcdef", digit))
					}
				}
				if unit != 0xfffd {
					units = append(units, unit)
				}
			}
			half = half || strings.ContainsRune(string(utf16.Decode(units)), 0xfffd)
		}
		if err := coercion.CheckEscapes(document); (err != nil) != half {
			t.Errorf("%q: %v, want half a pair: %t", document, err, half)
		}
	})
}
