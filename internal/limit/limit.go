package limit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Bounds are maximums. The fields of a fragment count once per spread.
type Bounds struct {
	// DocumentBytes and Tokens limit the size of a document. A comment is not a token; a string literal is one.
	DocumentBytes, Tokens int
	// Depth limits the nesting of fields, and the nesting of fragments.
	Depth int
	// Fields limits the fields and spreads of a document.
	Fields int
	// Aliases limits the aliases of an operation; IntrospectionAliases limits those in introspection, which is expensive.
	Aliases, IntrospectionAliases int
	// IntrospectionDepth limits the nesting of the introspection lists that lead from one type to others.
	IntrospectionDepth int
	// Repeats limits how often one response key may be selected after merging. RepeatPairs limits the pairs of repeated
	// fields in a document, because validation compares all pairs.
	Repeats, RepeatPairs int
	// RootFields limits the root fields of an operation.
	RootFields int
	// Directives limits the directives of a document, ElementDirectives those of one element.
	Directives, ElementDirectives int
	// ListItems limits the items that first and last request in one operation.
	ListItems int
	// InputDepth limits the nesting of lists and objects in literals and variables.
	InputDepth int
	// VariableBytes and VariableValues limit the variables of a request.
	VariableBytes, VariableValues int
}

// Share divides b among n operations. It does not divide the bounds for nesting or for a single element.
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

// Parse parses a document and refuses one that exceeds the bounds. The caller must check the returned lists with the
// variables of each request.
func (b *Bounds) Parse(text string) (Lists, error) {
	lists, _, err := b.parse(text)
	return lists, err
}

// parse also returns the number of selections that it visited.
func (b *Bounds) parse(text string) (lists Lists, steps int, err error) {
	if len(text) > b.DocumentBytes {
		return nil, 0, exceeded(fault.DocumentTooLarge, "a document may have at most %d bytes", b.DocumentBytes)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, b.Tokens)
	if err != nil {
		if strings.Contains(err.Error(), "exceeded token limit") {
			message := fmt.Sprintf("the document has more than %d tokens", b.Tokens)
			return nil, 0, fault.New(fault.ParseFailed, fault.TooManyTokens, message)
		}
		if e, ok := errors.AsType[*gqlerror.Error](err); ok {
			errcode.Set(e, errcode.ParseFailed)
		}
		return nil, 0, err
	}
	m := measure{
		bounds:    b,
		fragments: make(map[string]*ast.FragmentDefinition),
		sizes:     make(map[*ast.FragmentDefinition]extent),
	}
	m.document(doc)
	if m.refusal != nil {
		return nil, m.steps, m.refusal
	}
	return m.lists, m.steps, nil
}

// exceeded returns the error for an exceeded bound.
func exceeded(reason fault.Reason, format string, bound int) *fault.Error {
	return fault.New(fault.ValidationFailed, reason, fmt.Sprintf(format, bound))
}
