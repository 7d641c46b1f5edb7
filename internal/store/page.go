package store

import (
	"context"
	"fmt"
	"slices"
)

// Position identifies a row in a list by its values of the list's order, which are unique.
type Position []string

// Window is a slice of a list as in Relay: the first or last Limit rows between two positions, both excluded. A nil
// position is no bound.
type Window struct {
	After, Before Position
	Limit         int
	FromEnd       bool
}

// limits are one more than the usual sizes of pages: the additional row shows that the list continues.
var limits = [...]int{2, 6, 11, 21, 51, 101}

// LimitClause returns the LIMIT clause for reading w. The limit is not an argument: SQLite would make a new plan for
// each execution, and Postgres must know the small number of rows. It is rounded up, so that clients cannot make the
// server prepare many statements. NewPage ignores the rows beyond the window.
func (w Window) LimitClause() string {
	limit := w.Limit + 1
	if i, _ := slices.BinarySearch(limits[:], limit); i < len(limits) {
		limit = limits[i]
	}
	return fmt.Sprintf(" LIMIT %d", limit)
}

// Page contains the rows of a window, in the list's order.
type Page[T any] struct {
	Rows      []*T
	Positions []Position // of each row
	More      bool       // whether the list continues beyond the page, in the direction read
	Stopped   Position   // where reading stopped before the page was full, or nil
}

// NewPage returns the page of w from the rows that a statement with LimitClause returned, in the direction read.
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
	Into      func(*T) []any // the destinations of Columns
	Condition string         // which rows are listed and counted
	Owner     string         // the column that holds the owner
	OwnerOf   func(*T) K
	Order     Order
	Position  func(*T) Position
}

// Pages reads the same window of each owner's rows, in one statement.
func (t Owned[K, T]) Pages(ctx context.Context, db *DB, owners []K, w Window) (map[K]*Page[T], error) {
	var q Query
	rest := q.Within(w, t.Order) + t.Order.By(w) + w.LimitClause()
	query := Each(&q, owners, func(owner string) string {
		return "SELECT " + t.Columns + " FROM " + t.Table + " WHERE " + t.Condition + " AND " + t.Owner + " = " + owner + rest
	})
	var rows []*T
	next := func() []any {
		row := new(T)
		rows = append(rows, row)
		return t.Into(row)
	}
	if err := db.ScanAll(ctx, next, query, q.Args...); err != nil {
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

// Counts counts the rows of each owner, in one statement. Owners without rows are not in the map.
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
