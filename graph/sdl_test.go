package graph_test

import (
	goast "go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
)

// constants returns the string constants of a type that internal/folder declares in any of its files, by name.
func constants(t *testing.T, folder, typeName string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../internal/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, path := range paths {
		name := folder + "." + typeName
		if filepath.Base(filepath.Dir(path)) == folder {
			name = typeName
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		goast.Inspect(file, func(node goast.Node) bool {
			spec, ok := node.(*goast.ValueSpec)
			if !ok || spec.Type == nil || types.ExprString(spec.Type) != name {
				return true
			}
			for i, value := range spec.Values {
				literal, ok := value.(*goast.BasicLit)
				if !ok {
					continue
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				values[spec.Names[i].Name] = text
			}
			return true
		})
	}
	return values
}

func TestEnumsMatchTheConstants(t *testing.T) {
	t.Parallel()
	s := sdl(t)
	for enum, source := range map[string]struct{ folder, typeName string }{
		"ErrorCode":    {"fault", "Code"},
		"ErrorReason":  {"fault", "Reason"},
		"AuditAction":  {"audit", "Action"},
		"AuditOutcome": {"audit", "Outcome"},
		"PasswordHint": {"password", "Hint"},
	} {
		declared := constants(t, source.folder, source.typeName)
		if len(declared) < 2 {
			t.Fatalf("only %d constants of type %s", len(declared), source.typeName)
		}
		var want []string
		for name, value := range declared {
			value = strings.ToUpper(value)
			want = append(want, value)
			// Apollo's names contain GRAPHQL_ and _SERVER_ERROR, which add nothing in Go.
			word := strings.TrimSuffix(strings.TrimPrefix(value, "GRAPHQL_"), "_SERVER_ERROR")
			if !strings.EqualFold(strings.ReplaceAll(word, "_", ""), name) {
				t.Errorf("constant %s.%s has the value %s: use one word in Go and on the wire", source.folder, name, value)
			}
		}
		var got []string
		for _, value := range s.Types[enum].EnumValues {
			got = append(got, value.Name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("enum %s: %s", enum, diff)
		}
	}
}

// GraphiQL shows the descriptions as the manual.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	described := func(what, description string) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
	}
	s := sdl(t)
	for name, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		described(name, def.Description)
		for _, field := range def.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			described(name+"."+field.Name, field.Description)
			for _, arg := range field.Arguments {
				described(name+"."+field.Name+"("+arg.Name+")", arg.Description)
			}
		}
		for _, value := range def.EnumValues {
			described(name+"."+value.Name, value.Description)
		}
	}
	for name, directive := range s.Directives {
		if directive.Position.Src.BuiltIn {
			continue
		}
		described("@"+name, directive.Description)
		for _, arg := range directive.Arguments {
			described("@"+name+"("+arg.Name+")", arg.Description)
		}
	}
}

// A new input or output with a secret needs the mark.
func TestSecretsAreMarkedSensitive(t *testing.T) {
	t.Parallel()
	s := sdl(t)
	secret := regexp.MustCompile(`(?i)(password|passphrase|secret|token|code|otp|pin|credential|signature|key)s?$`)
	marked := 0
	check := func(what, name string, typ *ast.Type, directives ast.DirectiveList) {
		def := s.Types[typ.Name()]
		is := directives.ForName("sensitive") != nil
		if is {
			marked++
		}
		if secret.MatchString(name) && def.Kind == ast.Scalar && !is {
			t.Errorf("%s sounds like a secret: mark it @sensitive, or call it something else", what)
		}
	}
	for name, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		for _, field := range def.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			check(name+"."+field.Name, field.Name, field.Type, field.Directives)
			for _, arg := range field.Arguments {
				check(name+"."+field.Name+"("+arg.Name+")", arg.Name, arg.Type, arg.Directives)
			}
		}
	}
	if marked < 10 {
		t.Errorf("only %d marks: the search is broken", marked)
	}
}
