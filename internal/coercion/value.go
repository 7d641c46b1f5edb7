package coercion

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const (
	// maxProblems limits the problems listed per operation, so that a response is not longer than its request.
	maxProblems = 10
	// maxWords is the maximum length of a value in a message, in bytes.
	maxWords = 64
	// maxName is the maximum length of a client's name in a message, in bytes.
	maxName = 100
)

// sensitive is the directive for arguments and input fields whose values must not appear in messages.
const sensitive = "sensitive"

// Values are decoded by encoding/json (with json.Number) or by gqlparser. LiteralRule needs these types for literals
// that both decode to the same Go type as another one.
type (
	variable     struct{} // checked with each request
	enumLiteral  string
	floatLiteral string
)

// problem is a value of the wrong type.
type problem struct {
	path    ast.Path
	reason  fault.Reason
	message string
}

// step is a place in a value. It is converted to an ast.Path only for a problem.
type step struct {
	parent  *step
	element ast.PathElement
}

func (s *step) path() (path ast.Path) {
	for ; s != nil; s = s.parent {
		element := s.element
		if name, ok := element.(ast.PathName); ok {
			element = ast.PathName(clip(string(name), maxName))
		}
		path = append(path, element)
	}
	slices.Reverse(path)
	return path
}

// checker coerces values as the GraphQL specification requires (sections 3.5 to 3.12); gqlgen's unmarshalers for the
// built-in scalars do not. It accepts all values of custom scalars.
type checker struct {
	schema *ast.Schema
	// literal requires enum literals for enums, and integer literals for Int.
	literal bool
	// name returns the name for messages of the value at a path.
	name     func(path ast.Path) string
	problems []problem
}

func (c *checker) add(at *step, reason fault.Reason, format string, args ...any) {
	if len(c.problems) < maxProblems {
		path := at.path()
		c.problems = append(c.problems, problem{path, reason, c.name(path) + fmt.Sprintf(format, args...)})
	}
}

// value returns v coerced to t. It modifies maps and slices in place.
func (c *checker) value(at *step, t *ast.Type, v any, hidden bool) any {
	switch v := v.(type) {
	case variable:
		return v
	case nil:
		if t.NonNull {
			c.add(at, fault.Required, " of type %s must not be null", t)
		}
		return nil
	}
	if t.Elem != nil {
		return c.list(at, t.Elem, v, hidden)
	}
	def := c.schema.Types[t.NamedType]
	switch def.Kind {
	case ast.InputObject:
		return c.object(at, def, v, hidden)
	case ast.Enum:
		name, ok := v.(string)
		if literal, isLiteral := v.(enumLiteral); c.literal {
			name, ok = string(literal), isLiteral
		}
		if !ok || def.EnumValues.ForName(name) == nil {
			c.add(at, fault.Malformed, ": %s is not a value of the enum %s", words(def, v, true), def.Name)
		}
		return v
	}
	coerced, ok := scalar(def.Name, v)
	if !ok {
		c.add(at, fault.Malformed, ": %s", mismatch(def, v, hidden))
	}
	return coerced
}

// list coerces v to a list. A single value becomes a list of one.
func (c *checker) list(at *step, t *ast.Type, v any, hidden bool) any {
	items, ok := v.([]any)
	if !ok {
		return []any{c.value(at, t, v, hidden)}
	}
	for i, item := range items {
		if len(c.problems) == maxProblems {
			break
		}
		items[i] = c.value(&step{at, ast.PathIndex(i)}, t, item, hidden)
	}
	return items
}

func (c *checker) object(at *step, def *ast.Definition, v any, hidden bool) any {
	fields, ok := v.(map[string]any)
	if !ok {
		c.add(at, fault.Malformed, ": %s is not an object of type %s", words(def, v, true), def.Name)
		return v
	}
	c.known(at, def, fields)
	for _, field := range def.Fields {
		here := &step{at, ast.PathName(field.Name)}
		value, given := fields[field.Name]
		switch {
		case given:
			fields[field.Name] = c.value(here, field.Type, value, hidden || isSensitive(field.Directives))
		case field.Type.NonNull && field.DefaultValue == nil:
			c.add(here, fault.Required, " of type %s was not provided", field.Type)
		}
	}
	if def.Directives.ForName("oneOf") != nil && !isOne(fields) {
		c.add(at, fault.ExactlyOneRequired, ": %s takes exactly one of its fields, and not null", def.Name)
	}
	return fields
}

// known refuses unknown fields. In variables it accepts __typename, which some clients send back from responses.
func (c *checker) known(at *step, def *ast.Definition, fields map[string]any) {
	var unknown []string
	for name := range fields {
		if def.Fields.ForName(name) == nil && (c.literal || name != "__typename") {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		c.add(&step{at, ast.PathName(name)}, fault.Malformed, " is not a field of %s", def.Name)
	}
}

func isOne(fields map[string]any) bool {
	given, null := 0, false
	for name, value := range fields {
		if name != "__typename" {
			given, null = given+1, null || value == nil
		}
	}
	return given == 1 && !null
}

func isSensitive(directives ast.DirectiveList) bool { return directives.ForName(sensitive) != nil }

// scalar coerces v to a built-in scalar.
func scalar(name string, v any) (coerced any, ok bool) {
	switch name {
	case "Int":
		return integer(v)
	case "Float":
		switch v := v.(type) {
		case json.Number:
			return v, isFinite(string(v))
		case floatLiteral:
			return v, isFinite(string(v))
		case int64, float64:
			return v, true
		}
		return v, false
	case "Boolean":
		_, ok = v.(bool)
	case "String":
		_, ok = v.(string)
	case "ID":
		return identifier(v)
	default:
		ok = true
	}
	return v, ok
}

func isFinite(number string) bool {
	_, err := strconv.ParseFloat(number, 64)
	return err == nil
}

// integer reads an Int of 32 bits. In JSON, 5.0 and 5e0 are equal to 5.
func integer(v any) (any, bool) {
	switch v := v.(type) {
	case int64:
		return v, v == int64(int32(v))
	case json.Number:
		whole, _ := wholeNumber(v)
		_, err := strconv.ParseInt(string(whole), 10, 32)
		return whole, err == nil
	}
	return v, false
}

// identifier reads an ID: a string, or an integer of any size.
func identifier(v any) (any, bool) {
	switch v := v.(type) {
	case string, int64:
		return v, true
	case json.Number:
		return wholeNumber(v)
	}
	return v, false
}

// wholeNumber returns a number without fraction and exponent. It reports false if that would change the value.
func wholeNumber(number json.Number) (json.Number, bool) {
	const exact = 1 << 53
	if !strings.ContainsAny(string(number), ".eE") {
		return number, true
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= exact {
		return number, false
	}
	return json.Number(strconv.FormatInt(int64(f), 10)), true
}

// mismatch returns the message that v is not a value of the scalar def.
func mismatch(def *ast.Definition, v any, hidden bool) string {
	article := "a"
	if strings.ContainsRune("AEIOU", rune(def.Name[0])) {
		article = "an"
	}
	text := fmt.Sprintf("%s is not %s %s", words(def, v, hidden), article, def.Name)
	if number, isNumber := v.(json.Number); isNumber && def.Name == "Int" && !strings.ContainsAny(string(number), ".eE") {
		text += ", which has 32 bits"
	}
	return text
}

// words returns v for a message. If v may be secret, such as a String or an ID, it returns only the kind of value.
func words(def *ast.Definition, v any, hidden bool) string {
	kind, text := "", ""
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		kind = "a string"
		if isRepeatable(def, v) {
			text = strconv.Quote(clip(v, maxWords))
		}
	case enumLiteral:
		kind = "a name"
		if isRepeatable(def, string(v)) {
			text = clip(string(v), maxWords)
		}
	case json.Number, floatLiteral, int64, float64:
		kind, text = "a number", clip(fmt.Sprint(v), maxWords)
	case bool:
		kind, text = "a boolean", strconv.FormatBool(v)
	case []any:
		kind = "a list"
	default:
		kind = "an object"
	}
	if hidden || text == "" || def.Name == "String" || def.Name == "ID" {
		return kind
	}
	return text
}

// isRepeatable reports whether a message may repeat a string that was given for the scalar def. For a built-in scalar
// it may be a password in the wrong argument, unless it is a number or too short.
func isRepeatable(def *ast.Definition, text string) bool {
	const shortestPassword, digits = 8, "0123456789.+-"
	if strings.Trim(text, digits+"eE") == "" {
		return true
	}
	plain := strings.Trim(text, digits+" :_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	return plain && (!def.BuiltIn || len(text) < shortestPassword)
}

// clip truncates s to at most limit bytes.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
