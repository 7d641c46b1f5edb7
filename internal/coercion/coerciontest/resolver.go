// Package coerciontest is an executable schema with every kind of input, for the tests of coercion.
package coerciontest

import (
	"context"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/coercion/coerciontest/generated"
	"github.com/graphwarden/graphwarden/internal/coercion/coerciontest/model"
)

//go:generate go run ../../codegen

// Resolver counts the mutations that ran.
type Resolver struct{ Ran atomic.Int64 }

var _ generated.ResolverRoot = (*Resolver)(nil)

// Query implements generated.ResolverRoot.
func (r *Resolver) Query() generated.QueryResolver { return query{r} }

// Mutation implements generated.ResolverRoot.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r} }

// Written implements generated.ResolverRoot.
func (r *Resolver) Written() generated.WrittenResolver { return written{r} }

type query struct{ r *Resolver }

func (q query) Written(context.Context) (int, error) { return int(q.r.Ran.Load()), nil }

type mutation struct{ r *Resolver }

func (m mutation) Write(_ context.Context, text string) (*model.Written, error) {
	m.r.Ran.Add(1)
	return &model.Written{Text: text}, nil
}

type written struct{ r *Resolver }

func (written) Reader(_ context.Context, w *model.Written) (model.Reader, error) { return w, nil }

func (written) Read(
	_ context.Context, _ *model.Written, _ any, _ *model.Big, _ *bool, _ *model.By, _ *model.Color, _ []model.Color,
	_ *model.Day, _ []*model.Day, _ *float64, _ *model.Fragile, _ [][]int, _ *string, _ *int, _ []int,
	_ map[string]any, _ int, _ *int, _ *model.Day, _ *string, _ *model.Tree, _ *graphql.Upload,
) (bool, error) {
	return true, nil
}
