package graph

import (
	"cmp"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/limit"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/transport"
)

// limits refuses operations beyond the bounds, for every transport: all of them call MutateOperationParameters, before
// anything is parsed. gqlgen then parses a new document again, which costs little compared to its validation.
type limits struct {
	bounds limit.Bounds
	passed cache[limit.Lists]
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = (*limits)(nil)

func newLimits(bounds limit.Bounds, cacheBytes int64) (*limits, error) {
	passed, err := newCache(cacheBytes, func(text string, lists limit.Lists) int64 {
		return int64(len(text)) + lists.Size()
	})
	return &limits{bounds: bounds, passed: passed}, err
}

// ExtensionName implements graphql.HandlerExtension.
func (*limits) ExtensionName() string { return "Limits" }

// Validate implements graphql.HandlerExtension.
func (*limits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters checks each document once, and the variables and extensions of every request.
func (l *limits) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if batch, ok := transport.BatchFrom(ctx); ok {
		return refusal(l.checkMember(ctx, params, l.bounds.Share(batch.Size)))
	}
	lists, ok := l.passed.Get(ctx, params.Query)
	if !ok {
		var err error
		if lists, err = parse(ctx, params.Query, &l.bounds); err != nil {
			return refusal(err)
		}
		l.passed.Add(ctx, params.Query, lists)
	}
	return refusal(check(params, lists, &l.bounds))
}

// checkMember checks one operation of a batch, whose bounds are a share of those of a single operation.
func (l *limits) checkMember(ctx context.Context, params *graphql.RawParams, share limit.Bounds) error {
	lists, err := parse(ctx, params.Query, &share)
	if err != nil {
		return err
	}
	return check(params, lists, &share)
}

func parse(ctx context.Context, document string, bounds *limit.Bounds) (limit.Lists, error) {
	if err := memory.From(ctx).Grow(memory.Parsing(len(document), bounds.Tokens)); err != nil {
		return nil, err
	}
	return bounds.Parse(document)
}

// check checks the parts of a request besides its document.
func check(params *graphql.RawParams, lists limit.Lists, bounds *limit.Bounds) error {
	if err := cmp.Or(bounds.Variables(params.Variables), bounds.Extensions(params.Extensions)); err != nil {
		return err
	}
	return lists.Check(bounds, params.OperationName, params.Variables)
}

// refusal returns err as gqlgen's extensions return errors.
func refusal(err error) *gqlerror.Error {
	if f := fault.As(err); f != nil {
		return &gqlerror.Error{Err: f, Message: f.Message}
	}
	return gqlerror.WrapIfUnwrapped(err)
}

// validation returns the rules for one document. Without suggestions, messages name nothing of the schema: gqlgen's own
// option covers only fields, not arguments, types, enum values and input fields.
func validation(suggestions bool) *rules.Rules {
	r := rules.NewDefaultRules()
	r.RemoveRule(rules.MaxIntrospectionDepth.Name) // slow: it follows every spread; package limit bounds the depth
	r.RemoveRule(rules.ValuesOfCorrectTypeRule.Name)
	literals := coercion.LiteralRule(suggestions)
	r.AddRule(literals.Name, literals.RuleFunc)
	if suggestions {
		return r
	}
	for named, silent := range map[string]core.Rule{
		rules.FieldsOnCorrectTypeRule.Name: rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRule.Name:         rules.ScalarLeafsRuleWithoutSuggestions,
	} {
		r.RemoveRule(named)
		r.AddRule(silent.Name, silent.RuleFunc)
	}
	return r
}
