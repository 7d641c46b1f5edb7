package graph

import (
	"context"
	"fmt"
	"math"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
)

// cache keeps what belongs to a text sent by clients, up to a number of bytes. A bound on the number of entries, as
// gqlgen's own cache has, does not bound memory: a document can be as large as a request, and its tree 40 times as large.
type cache[V any] struct{ entries *otter.Cache[string, V] }

var _ graphql.Cache[any] = cache[any]{}

// entryBytes is what the cache itself keeps of an entry.
const entryBytes = 512

// newCache makes a cache of so many bytes; weigh returns those of an entry. An entry that does not fit is not kept.
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
