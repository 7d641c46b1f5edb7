package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/store"
)

func TestListRoundsUpToAPowerOfTwo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []string
		list   string
		args   []any
	}{
		{[]string{"a"}, "($1)", []any{"a"}},
		{[]string{"a", "b"}, "($1, $2)", []any{"a", "b"}},
		{[]string{"a", "b", "c"}, "($1, $2, $3, $4)", []any{"a", "b", "c", "c"}},
		{[]string{"a", "b", "c", "d", "e"}, "($1, $2, $3, $4, $5, $6, $7, $8)", []any{"a", "b", "c", "d", "e", "e", "e", "e"}},
	} {
		list, args := store.List(test.values)
		if diff := cmp.Diff(test.list+fmt.Sprint(test.args), list+fmt.Sprint(args)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.values, diff)
		}
	}
}
