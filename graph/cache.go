package graph

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
)

// cacheBytes bounds the text that a cache of documents holds. A bound on their number, as gqlgen's own
// cache has, is none on memory: a document can be as large as a request.
const cacheBytes = 16 << 20

// cache keeps what belongs to a text sent by clients, up to cacheBytes of texts.
type cache[V any] struct{ entries *otter.Cache[string, V] }

var _ graphql.Cache[any] = cache[any]{}

// newCache makes a cache; textOf returns the text that an entry is bounded by.
func newCache[V any](textOf func(key string, value V) string) (cache[V], error) {
	entries, err := otter.New(&otter.Options[string, V]{
		MaximumWeight: cacheBytes,
		Weigher:       func(key string, value V) uint32 { return uint32(len(textOf(key, value)) + 512) },
	})
	if err != nil {
		return cache[V]{}, fmt.Errorf("document cache: %w", err)
	}
	return cache[V]{entries}, nil
}

// Get implements graphql.Cache.
func (c cache[V]) Get(_ context.Context, key string) (V, bool) { return c.entries.GetIfPresent(key) }

// Add implements graphql.Cache.
func (c cache[V]) Add(_ context.Context, key string, value V) { c.entries.Set(key, value) }
