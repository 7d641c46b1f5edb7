package graph

import (
	"context"
	"fmt"
	"math"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
)

// cache maps texts from clients to values, up to a number of bytes. A bound on the number of entries, as in gqlgen's
// cache, does not bound memory: a document can be as large as a request, and its tree 40 times as large.
type cache[V any] struct{ entries *otter.Cache[string, V] }

var _ graphql.Cache[any] = cache[any]{}

// entryBytes is the overhead of an entry in the cache.
const entryBytes = 512

// newCache returns a cache with a capacity in bytes. weigh returns the bytes of an entry. An entry that does not fit is
// not cached.
func newCache[V any](bytes int64, weigh func(key string, value V) int64) (cache[V], error) {
	entries, err := otter.New(&otter.Options[string, V]{
		MaximumWeight: uint64(bytes),
		Weigher: func(key string, value V) uint32 {
			return uint32(min(entryBytes+weigh(key, value), math.MaxUint32))
		},
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
