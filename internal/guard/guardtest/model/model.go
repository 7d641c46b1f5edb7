// Package model owns the Go types of guardtest with methods that the guard recognizes, in all shapes that gqlgen can
// bind: pointers, values, lists of both, and one type without the method.
package model

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Diary has OwnerID on the pointer.
type Diary struct {
	Owner   token.UserID
	Name    string
	Secret  string
	Entries []Entry
}

// IsNamed makes a Diary Named.
func (Diary) IsNamed() {}

// IsSecretive makes a Diary Secretive.
func (Diary) IsSecretive() {}

// IsExhibit makes a Diary an Exhibit.
func (Diary) IsExhibit() {}

// OwnerID gives a Diary an owner.
func (d *Diary) OwnerID() token.UserID { return d.Owner }

// Entry has OwnerID on the value.
type Entry struct {
	Owner token.UserID
	Text  string
	Cover string
}

// OwnerID gives an Entry an owner.
func (e Entry) OwnerID() token.UserID { return e.Owner }

// Flyer is the Go type of Bird.
type Flyer struct{ Name string }

// GraphQLType names the type in the schema.
func (Flyer) GraphQLType() string { return "Bird" }

// IsNamed makes a Flyer Named.
func (Flyer) IsNamed() {}

// Stray has no owner, although its mark requires one.
type Stray struct{ Name string }

// Locker contains entries as a value and as a pointer, and has OwnerID on the pointer.
type Locker struct {
	Owner   token.UserID
	Number  int32
	Content string
	Stray   Stray
	Entry   Entry
	Maybe   *Entry
}

// OwnerID gives a Locker an owner.
func (l *Locker) OwnerID() token.UserID { return l.Owner }

// Cage is owned, for its fields with an owner rule.
type Cage struct {
	Owner                                                                       token.UserID
	Inherited, Open, SignedIn, Keeper, Either, Recent, RecentAdmin, RecentOwner string
	Verified, VerifiedKeeper, VerifiedOwner, Unverified                         string
	Factor, FactorKeeper, NoFactor                                              string
}

// OwnerID gives a Cage an owner.
func (c *Cage) OwnerID() token.UserID { return c.Owner }

// Person is a user, owned by that user.
type Person struct {
	ID    token.UserID
	Email string
	Diary *Diary
}

// OwnerID makes a Person its own owner.
func (p *Person) OwnerID() token.UserID { return p.ID }

// Ticket signs in the user of its claims.
type Ticket struct {
	Claims token.Claims
	Token  string
	Person *Person
	Diary  *Diary
	Cage   *Cage
	Friend *Ticket
	Other  Pass
}

// IsPass makes a Ticket a Pass.
func (Ticket) IsPass() {}

// Principal returns the user that the ticket signs in.
func (t *Ticket) Principal() *token.Claims { return &t.Claims }

// MarshalUserID writes a user id.
func MarshalUserID(id token.UserID) graphql.Marshaler { return graphql.MarshalID(string(id)) }

// UnmarshalUserID reads a user id.
func UnmarshalUserID(v any) (token.UserID, error) {
	s, err := graphql.UnmarshalID(v)
	return token.UserID(s), err
}
