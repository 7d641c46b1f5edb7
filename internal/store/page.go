package store

import "slices"

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
