package store

import (
	"fmt"
	"strings"
)

// Query collects the arguments of a statement while its text is written. The zero value is ready to use.
type Query struct{ Args []any }

// Arg adds an argument and returns its placeholder.
func (q *Query) Arg(value any) string {
	q.Args = append(q.Args, value)
	return fmt.Sprintf("$%d", len(q.Args))
}

// In adds values as arguments and returns a list for IN: ($1, $2, …). It repeats the last value until their number is a
// power of two, which limits the number of different statements to prepare. values must not be empty.
func In[T any](q *Query, values []T) string {
	var list []string
	for n := 1; n < 2*len(values); n *= 2 {
		for len(list) < n {
			list = append(list, q.Arg(values[min(len(list), len(values)-1)]))
		}
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// Each returns one statement that runs a SELECT for each of values; branch returns its text for a placeholder. It adds
// zero values, which must match no rows, until their number is a power of two, which limits the number of different
// statements to prepare.
func Each[T any](q *Query, values []T, branch func(value string) string) string {
	var branches []string
	for n := 1; n < 2*len(values); n *= 2 {
		for len(branches) < n {
			var value T
			if len(branches) < len(values) {
				value = values[len(branches)]
			}
			branches = append(branches, fmt.Sprintf("SELECT * FROM (%s) AS b%d", branch(q.Arg(value)), len(branches)))
		}
	}
	return strings.Join(branches, " UNION ALL ")
}

// Order orders a list by columns that are unique together.
type Order struct {
	Columns    []Column
	Descending bool
}

// Column is a column of an order. Type is its SQL type unless that is TEXT: positions are text.
type Column struct{ Name, Type string }

// By returns the ORDER BY clause for reading w from its start.
func (o Order) By(w Window) string {
	direction := " ASC"
	if o.Descending != w.FromEnd {
		direction = " DESC"
	}
	terms := make([]string, len(o.Columns))
	for i, column := range o.Columns {
		terms[i] = column.Name + direction
	}
	return " ORDER BY " + strings.Join(terms, ", ")
}

// Within returns the conditions that keep a list in order o between the positions of w, each beginning with AND. Of a
// position with more values than o has columns, it uses the last ones.
func (q *Query) Within(w Window, o Order) string {
	after, before := " > ", " < "
	if o.Descending {
		after, before = before, after
	}
	return q.bound(o, after, w.After) + q.bound(o, before, w.Before)
}

func (q *Query) bound(o Order, operator string, at Position) string {
	if at == nil {
		return ""
	}
	at = at[len(at)-len(o.Columns):]
	names, values := make([]string, len(at)), make([]string, len(at))
	for i, column := range o.Columns {
		names[i], values[i] = column.Name, q.Arg(at[i])
		if column.Type != "" {
			values[i] = "CAST(" + values[i] + " AS " + column.Type + ")"
		}
	}
	return " AND (" + strings.Join(names, ", ") + ")" + operator + "(" + strings.Join(values, ", ") + ")"
}
