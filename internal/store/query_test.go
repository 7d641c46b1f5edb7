package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/store"
)

func TestInRoundsUpToAPowerOfTwo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []string
		list   string
		args   []any
	}{
		{[]string{"a"}, "($1)", []any{"a"}},
		{[]string{"a", "b"}, "($1, $2)", []any{"a", "b"}},
		{[]string{"a", "b", "c"}, "($1, $2, $3, $4)", []any{"a", "b", "c", "c"}},
		{
			[]string{"a", "b", "c", "d", "e"},
			"($1, $2, $3, $4, $5, $6, $7, $8)",
			[]any{"a", "b", "c", "d", "e", "e", "e", "e"},
		},
	} {
		var q store.Query
		list := store.In(&q, test.values)
		if diff := cmp.Diff(test.list+fmt.Sprint(test.args), list+fmt.Sprint(q.Args)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.values, diff)
		}
	}
}

func TestEachRoundsUpWithZeroValues(t *testing.T) {
	t.Parallel()
	var q store.Query
	limit := q.Arg(10)
	text := store.Each(&q, []string{"a", "b", "c"}, func(value string) string { return value + limit })
	want := "SELECT * FROM ($2$1) AS b0 UNION ALL SELECT * FROM ($3$1) AS b1 UNION ALL " +
		"SELECT * FROM ($4$1) AS b2 UNION ALL SELECT * FROM ($5$1) AS b3"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{10, "a", "b", "c", ""}, q.Args); diff != "" {
		t.Error(diff)
	}
}

func TestAWindowBoundsAnOrder(t *testing.T) {
	t.Parallel()
	up := store.Order{Columns: []store.Column{{Name: "at", Type: "BIGINT"}, {Name: "id"}}}
	down := store.Order{Columns: []store.Column{{Name: "id"}}, Descending: true}
	first, last := store.Position{"1", "a"}, store.Position{"9", "z"}
	for name, test := range map[string]struct {
		window store.Window
		order  store.Order
		text   string
		args   []any
	}{
		"no bounds": {store.Window{}, up, " ORDER BY at ASC, id ASC", nil},
		"both bounds": {
			store.Window{After: first, Before: last}, up,
			" AND (at, id) > (CAST($1 AS BIGINT), $2) AND (at, id) < (CAST($3 AS BIGINT), $4) ORDER BY at ASC, id ASC",
			[]any{"1", "a", "9", "z"},
		},
		"from the end": {store.Window{FromEnd: true}, up, " ORDER BY at DESC, id DESC", nil},
		"descending":   {store.Window{After: first}, down, " AND (id) < ($1) ORDER BY id DESC", []any{"a"}},
		"descending from the end": {
			store.Window{Before: last, FromEnd: true}, down, " AND (id) > ($1) ORDER BY id ASC", []any{"z"},
		},
	} {
		var q store.Query
		text := q.Within(test.window, test.order) + test.order.By(test.window)
		if diff := cmp.Diff(test.text, text) + cmp.Diff(test.args, q.Args); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
