package store

import (
	"context"
	"fmt"
	"slices"
)

// Position is where a row stands in a list: the values of the list's order, which no two rows share.
type Position []string

// Window is a slice of a list in Relay's sense: the first Limit rows between two positions, neither
// included, or the last. A nil position is no bound.
type Window struct {
	After, Before Position
	Limit         int
	FromEnd       bool
}

// Cut takes what was read for w, one row more than its limit if there were as many, in the direction
// read: it returns the rows in the list's order and whether there are more beyond them.
func Cut[T any](w Window, rows []T) (list []T, more bool) {
	if more = len(rows) > w.Limit; more {
		rows = rows[:w.Limit]
	}
	if w.FromEnd {
		slices.Reverse(rows)
	}
	return rows, more
}

// CountBy counts the rows of table that meet condition by the value of column, of which only values count;
// one that no row has is not in the map.
func CountBy[K ~string](ctx context.Context, db *DB, table, column, condition string, values []K) (map[K]int, error) {
	list, args := List(values)
	var rows []struct {
		Value K   `db:"value"`
		N     int `db:"n"`
	}
	query := "SELECT " + column + " AS value, count(*) AS n FROM " + table + " WHERE " + column + " IN " + list + " AND " + condition + " GROUP BY " + column
	if err := db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("count %s: %w", table, err)
	}
	counts := make(map[K]int, len(rows))
	for _, row := range rows {
		counts[row.Value] = row.N
	}
	return counts, nil
}

// PageBy reads, with the statement that Each made for values, the window w of each value's rows: in the
// list's order, and whether there are more beyond it in the direction read.
func PageBy[K comparable, T any](ctx context.Context, db *DB, w Window, values []K, of func(*T) K, query string, args ...any) (map[K]*Page[T], error) {
	var rows []*T
	if err := db.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	pages := make(map[K]*Page[T], len(values))
	for _, value := range values {
		pages[value] = &Page[T]{}
	}
	for _, row := range rows {
		page := pages[of(row)]
		page.Rows = append(page.Rows, row)
	}
	for _, page := range pages {
		page.Rows, page.More = Cut(w, page.Rows)
	}
	return pages, nil
}

// Page is a window of a list, in the list's order.
type Page[T any] struct {
	Rows []*T
	More bool // beyond the window, in the direction read
}
