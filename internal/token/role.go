package token

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
)

// Role is one of the SDL's enum Role.
type Role string

// Roles is a set of roles: sorted, without duplicates. In the database it is one column of text, separated by blanks.
type Roles []Role

// NewRoles makes a set of roles.
func NewRoles(roles ...Role) Roles {
	return slices.Compact(slices.Sorted(slices.Values(roles)))
}

// Has reports whether role is in the set.
func (r Roles) Has(role Role) bool { return slices.Contains(r, role) }

// String returns the roles separated by blanks.
func (r Roles) String() string {
	names := make([]string, len(r))
	for i, role := range r {
		names[i] = string(role)
	}
	return strings.Join(names, " ")
}

// Value implements driver.Valuer.
func (r Roles) Value() (driver.Value, error) { return r.String(), nil }

// Scan implements sql.Scanner.
func (r *Roles) Scan(column any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("roles: cannot read a column of type %T", column)
	}
	*r = nil
	for _, name := range strings.Fields(text) {
		*r = append(*r, Role(name))
	}
	return nil
}
