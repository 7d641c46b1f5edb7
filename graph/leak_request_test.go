package graph_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// canary is planted wherever a request can contain a secret. harmless is planted where permitted readers may
// get the value, but the server must not log it or put it into an error. Both are valid GraphQL names.
const canary, harmless = "plantedxq7", "harmlessxq8"

// planting is a root field with the canary at one place of its input.
type planting struct {
	// where is the place, such as "Mutation.login(input.password)".
	where     string
	sensitive bool
	operation ast.Operation
	field     *ast.FieldDefinition
	path      []string // of the place: the argument, then input fields
}

// plantings returns all places of the schema that accept a text, in any scalar.
func plantings(s *ast.Schema) (all []planting) {
	for operation, root := range map[ast.Operation]*ast.Definition{
		ast.Query: s.Query, ast.Mutation: s.Mutation, ast.Subscription: s.Subscription,
	} {
		for _, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			var descend func(path []string, typ *ast.Type, sensitive bool)
			descend = func(path []string, typ *ast.Type, sensitive bool) {
				switch def := s.Types[typ.Name()]; def.Kind {
				case ast.Scalar, ast.Enum:
					where := fmt.Sprintf("%s.%s(%s)", root.Name, field.Name, strings.Join(path, "."))
					all = append(all, planting{where, sensitive, operation, field, append([]string(nil), path...)})
				case ast.InputObject:
					for _, f := range def.Fields {
						descend(append(path, f.Name), f.Type, sensitive || f.Directives.ForName("sensitive") != nil)
					}
				}
			}
			for _, a := range field.Arguments {
				descend([]string{a.Name}, a.Type, a.Directives.ForName("sensitive") != nil)
			}
		}
	}
	return all
}

// canary returns the value to plant at p's place.
func (p planting) canary() string {
	if p.sensitive {
		return canary
	}
	return harmless
}

// arguments returns the values of p's field, with value at p's place. Other arguments are included only if required.
func (p planting) arguments(s *ast.Schema, value any, fill func(name string) string) map[string]any {
	var object func(names ast.FieldList, path []string) map[string]any
	var one func(name string, typ *ast.Type, path []string) any
	object = func(fields ast.FieldList, path []string) map[string]any {
		values := map[string]any{}
		for _, f := range fields {
			on := len(path) > 0 && path[0] == f.Name
			switch {
			case on && len(path) == 1:
				values[f.Name] = value
			case on:
				values[f.Name] = one(f.Name, f.Type, path[1:])
			case f.Type.NonNull && f.DefaultValue == nil || f.Name == "email":
				values[f.Name] = one(f.Name, f.Type, nil)
			}
		}
		return values
	}
	one = func(name string, typ *ast.Type, path []string) any {
		def := s.Types[typ.Name()]
		var v any
		switch {
		case def.Kind == ast.InputObject:
			v = object(def.Fields, path)
		case def.Kind == ast.Enum:
			v = def.EnumValues[0].Name
		case def.Name == "Int":
			v = 1
		case def.Name == "Boolean":
			v = true
		default:
			v = fill(name)
		}
		if typ.Elem != nil {
			return []any{v}
		}
		return v
	}
	var roots ast.FieldList
	for _, a := range p.field.Arguments {
		roots = append(roots, &ast.FieldDefinition{Name: a.Name, Type: a.Type, DefaultValue: a.DefaultValue})
	}
	return object(roots, p.path)
}

// byVariables returns the operation with all arguments as variables of any types.
func (p planting) byVariables(s *ast.Schema) string {
	var declared, given []string
	for _, a := range p.field.Arguments {
		declared, given = append(declared, "$"+a.Name+": "+a.Type.String()), append(given, a.Name+": $"+a.Name)
	}
	return fmt.Sprintf(
		"%s Op(%s) { %s(%s) %s }", p.operation, strings.Join(declared, ", "), p.field.Name, strings.Join(given, ", "),
		selection(s, p.field, 2),
	)
}

// bare is a value that is written into a document verbatim.
type bare string

// byLiterals returns the operation with its arguments in the document.
func (p planting) byLiterals(s *ast.Schema, arguments map[string]any) string {
	var given []string
	for name, value := range arguments {
		given = append(given, name+": "+literal(value))
	}
	return fmt.Sprintf(
		"%s Op { %s(%s) %s }", p.operation, p.field.Name, strings.Join(given, ", "), selection(s, p.field, 2),
	)
}

func literal(value any) string {
	switch v := value.(type) {
	case bare:
		return string(v)
	case map[string]any:
		var members []string
		for name, inner := range v {
			members = append(members, name+": "+literal(inner))
		}
		return "{" + strings.Join(members, ", ") + "}"
	case []any:
		var items []string
		for _, inner := range v {
			items = append(items, literal(inner))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	text, _ := json.Marshal(value) // strings and numbers have the same syntax in both
	if s, ok := value.(string); ok && s != "" && strings.ToUpper(s) == s && !strings.ContainsAny(s, "@-.") {
		return s // an enum value
	}
	return string(text)
}

// selection selects all fields that contain no secret.
func selection(s *ast.Schema, field *ast.FieldDefinition, depth int) string {
	def := s.Types[field.Type.Name()]
	if !def.IsCompositeType() {
		return ""
	}
	parts := []string{"__typename"}
	for _, f := range def.Fields {
		if f.Directives.ForName("sensitive") == nil && (depth > 0 || !s.Types[f.Type.Name()].IsCompositeType()) {
			parts = append(parts, f.Name+" "+selection(s, f, depth-1))
		}
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

// request returns the body of a POST.
func request(query string, variables any) string {
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables}) // cannot fail
	return string(body)
}

// requests returns the bodies with a secret at p's place: in the right type, in wrong types, and damaged.
func (p planting) requests(s *ast.Schema, secret string, fill func(name string) string) (bodies []string) {
	with := func(value any) map[string]any { return p.arguments(s, value, fill) }
	add := func(query string, variables any) { bodies = append(bodies, request(query, variables)) }
	document := p.byLiterals(s, with(secret))
	add(document, nil)
	for _, value := range []any{
		secret, []any{secret}, []any{[]any{1, secret}}, map[string]any{"x": secret}, secret + "\x00\n",
		strings.Repeat(secret, 200),
	} {
		add(p.byVariables(s), with(value))
		add(p.byLiterals(s, with(value)), nil)
	}
	quoted, _ := json.Marshal(secret)
	text := string(quoted)
	for _, value := range []string{
		secret, "-" + secret, "1." + secret, `"` + secret, `"\q` + secret + `"`, `"` + secret + "\n\"", `"""` + secret,
		"{a: " + text + ", a: 1}", "[" + text, text + text, "$x @" + text,
	} {
		add(p.byLiterals(s, with(bare(value))), nil)
	}
	if at := strings.Index(document, secret); at >= 0 {
		for _, cut := range []int{at + len(secret)/2, at + len(secret), at + len(secret) + 1, len(document) - 1} {
			add(document[:cut], nil)
		}
		add(document[at:], nil)
		add(strings.Replace(document, "(", "(unknown: "+text+", ", 1), nil)
	}
	unknown := with(secret)
	if inner, ok := unknown[p.path[0]].(map[string]any); ok {
		inner["unheard"] = secret
	}
	unknown["undeclared"] = secret
	add(p.byVariables(s), unknown)
	add(p.byLiterals(s, unknown), nil)
	add(p.byVariables(s), []any{secret})
	valid := request(p.byVariables(s), with(secret))
	return append(
		bodies, valid[:len(valid)-2], valid+secret, "["+valid+"]", secret,
		strings.Replace(valid, `"variables"`, `"Variables"`, 1),
	)
}
