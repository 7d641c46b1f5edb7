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

// Page is the part of a list that lies in a window, in the list's order.
type Page[T any] struct {
	Rows      []*T
	Positions []Position // of each row
	More      bool       // whether there are rows beyond the window, in the direction read
	Stopped   Position   // where reading stopped before the page was full; else nil
}

// NewPage returns the page of w from rows in the direction read: one more than its limit if there are as many.
func NewPage[T any](w Window, rows []*T, position func(*T) Position) *Page[T] {
	page := &Page[T]{Rows: rows, More: len(rows) > w.Limit}
	if page.More {
		page.Rows = rows[:w.Limit]
	}
	if w.FromEnd {
		slices.Reverse(page.Rows)
	}
	for _, row := range page.Rows {
		page.Positions = append(page.Positions, position(row))
	}
	return page
}

// Owned describes a table whose rows each belong to an owner.
type Owned[K ~string, T any] struct {
	Table     string
	Columns   string
	Condition string // of the rows that count
	Owner     string // the column that holds the owner
	OwnerOf   func(*T) K
	Order     Order
	Position  func(*T) Position
}

// Pages reads the same window of each owner's rows, in one statement.
func (t Owned[K, T]) Pages(ctx context.Context, db *DB, owners []K, w Window) (map[K]*Page[T], error) {
	var q Query
	rest := q.Within(w, t.Order) + t.Order.By(w) + " LIMIT " + q.Arg(w.Limit+1)
	query := Each(&q, owners, func(owner string) string {
		return "SELECT " + t.Columns + " FROM " + t.Table + " WHERE " + t.Condition + " AND " + t.Owner + " = " + owner + rest
	})
	var rows []*T
	if err := db.Select(ctx, &rows, query, q.Args...); err != nil {
		return nil, fmt.Errorf("list %s: %w", t.Table, err)
	}
	lists := make(map[K][]*T, len(owners))
	for _, row := range rows {
		owner := t.OwnerOf(row)
		lists[owner] = append(lists[owner], row)
	}
	pages := make(map[K]*Page[T], len(owners))
	for _, owner := range owners {
		pages[owner] = NewPage(w, lists[owner], t.Position)
	}
	return pages, nil
}

// Counts counts the rows of each owner, in one statement. An owner without any is not in the map.
func (t Owned[K, T]) Counts(ctx context.Context, db *DB, owners []K) (map[K]int, error) {
	var q Query
	var rows []struct {
		Owner K   `db:"owner"`
		N     int `db:"n"`
	}
	query := "SELECT " + t.Owner + " AS owner, count(*) AS n FROM " + t.Table +
		" WHERE " + t.Owner + " IN " + In(&q, owners) + " AND " + t.Condition + " GROUP BY " + t.Owner
	if err := db.Select(ctx, &rows, query, q.Args...); err != nil {
		return nil, fmt.Errorf("count %s: %w", t.Table, err)
	}
	counts := make(map[K]int, len(rows))
	for _, row := range rows {
		counts[row.Owner] = row.N
	}
	return counts, nil
}
