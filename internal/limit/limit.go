package limit

import (
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Bounds are the most that is allowed of each. Fields that come through a fragment count wherever it is
// spread.
type Bounds struct {
	// DocumentBytes and Tokens of a document, which bound parsing: a comment is no token, a text is one.
	DocumentBytes, Tokens int
	// Depth is how deep fields may nest, and how deep fragments within fragments.
	Depth int
	// Fields of a document, the spreads of fragments included.
	Fields int
	// Aliases of an operation, and those of them on or in introspection, where each repeats the schema.
	Aliases, IntrospectionAliases int
	// IntrospectionDepth is how deep the lists of introspection may nest that lead from type to type.
	IntrospectionDepth int
	// Repeats of one response key, merged as execution merges them, and the pairs that all repeats of a
	// document make: validation compares each with each.
	Repeats, RepeatPairs int
	// RootFields of an operation.
	RootFields int
	// Directives of a document, and those of one element in it.
	Directives, ElementDirectives int
	// ListItems that first and last may ask for in one operation.
	ListItems int
	// InputDepth is how deep lists and objects may nest in a value, written in a document or sent as a variable.
	InputDepth int
	// VariableBytes and VariableValues bound the variables of one request.
	VariableBytes, VariableValues int
}

// Share returns the bounds of one of n operations that together keep to b. What bounds the nesting, or one element,
// stays as it is.
func (b *Bounds) Share(n int) Bounds {
	share := *b
	for _, bound := range []*int{
		&share.DocumentBytes, &share.Tokens, &share.Fields, &share.Aliases, &share.IntrospectionAliases, &share.RepeatPairs,
		&share.RootFields, &share.Directives, &share.ListItems, &share.VariableBytes, &share.VariableValues,
	} {
		*bound = max(1, *bound/n)
	}
	return share
}

// Parse reads a document and refuses what is beyond the bounds. What it returns remains to be checked with
// the variables of each request.
func (b *Bounds) Parse(text string) (Lists, error) {
	lists, _, err := b.parse(text)
	return lists, err
}

// parse also returns how many selections it looked at.
func (b *Bounds) parse(text string) (lists Lists, steps int, err error) {
	if len(text) > b.DocumentBytes {
		return nil, 0, exceeded(fault.DocumentTooLarge, "a document may have at most %d bytes", b.DocumentBytes)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, b.Tokens)
	if err != nil {
		if strings.Contains(err.Error(), "exceeded token limit") {
			return nil, 0, fault.New(fault.ParseFailed, fault.TooManyTokens, fmt.Sprintf("the document has more than %d tokens", b.Tokens))
		}
		if e, ok := err.(*gqlerror.Error); ok {
			errcode.Set(e, errcode.ParseFailed)
		}
		return nil, 0, err
	}
	m := measure{bounds: b, fragments: make(map[string]*ast.FragmentDefinition), sizes: make(map[*ast.FragmentDefinition]extent)}
	m.document(doc)
	if m.refusal != nil {
		return nil, m.steps, m.refusal
	}
	return m.lists, m.steps, nil
}

// exceeded is the refusal of what is beyond a bound.
func exceeded(reason fault.Reason, format string, bound int) *fault.Error {
	return fault.New(fault.ValidationFailed, reason, fmt.Sprintf(format, bound))
}
