package memory

import (
	"encoding/json"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// node is the size of a field, argument, value, directive or definition of a parsed document: 70 to 242 bytes were
	// measured.
	node = 256
	// value is the size of a value of decoded JSON: 16 bytes in a list, 300 as the only member of an object.
	value = 320
	// parsedByte is the memory per byte of a document while it is parsed twice and validated, and parsedToken per token,
	// which has about 4 bytes.
	parsedByte, parsedToken = 128, 512
)

// Parsing returns the memory for parsing and validating a document with this many bytes and at most this many tokens.
func Parsing(bytes, tokens int) int64 {
	return int64(bytes) + min(parsedByte*int64(bytes), parsedToken*int64(tokens))
}

// Decoding returns the memory for decoding JSON with this many bytes and values: encoding/json copies the text into a
// buffer that grows by doubling, and copies each string out of it.
func Decoding(bytes, values int) int64 { return 3*int64(bytes) + value*int64(values) }

// Document returns the size of a parsed document without its text.
func Document(doc *ast.QueryDocument) int64 {
	nodes := len(doc.Operations) + len(doc.Fragments)
	for _, op := range doc.Operations {
		for _, v := range op.VariableDefinitions {
			nodes += 1 + directives(v.Directives) + valueNodes(v.DefaultValue)
		}
		nodes += directives(op.Directives) + selections(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		nodes += directives(f.Directives) + selections(f.SelectionSet)
	}
	return node * int64(nodes)
}

func selections(set ast.SelectionSet) (nodes int) {
	for _, selection := range set {
		nodes++
		switch s := selection.(type) {
		case *ast.Field:
			nodes += arguments(s.Arguments) + directives(s.Directives) + selections(s.SelectionSet)
		case *ast.InlineFragment:
			nodes += directives(s.Directives) + selections(s.SelectionSet)
		case *ast.FragmentSpread:
			nodes += directives(s.Directives)
		}
	}
	return nodes
}

func directives(list ast.DirectiveList) (nodes int) {
	for _, d := range list {
		nodes += 1 + arguments(d.Arguments)
	}
	return nodes
}

func arguments(list ast.ArgumentList) (nodes int) {
	for _, a := range list {
		nodes += 1 + valueNodes(a.Value)
	}
	return nodes
}

func valueNodes(v *ast.Value) (nodes int) {
	if v == nil {
		return 0
	}
	for _, child := range v.Children {
		nodes += 1 + valueNodes(child.Value)
	}
	return nodes + 1
}

// Values returns the size of decoded JSON.
func Values(v any) int64 {
	size := int64(value)
	switch v := v.(type) {
	case string:
		size += int64(len(v))
	case json.Number:
		size += int64(len(v))
	case map[string]any:
		for name, inner := range v {
			size += int64(len(name)) + Values(inner)
		}
	case []any:
		for _, inner := range v {
			size += Values(inner)
		}
	}
	return size
}
