// Package model owns the Go types of guardtest that have methods the guard looks for, each in another of
// the shapes that gqlgen can bind: pointers, values, lists of both, and one without the method.
package model

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Diary has its owner by a method of the pointer.
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

// Entry has its owner by a method of the value.
type Entry struct {
	Owner token.UserID
	Text  string
	Cover string
}

// OwnerID gives an Entry an owner.
func (e Entry) OwnerID() token.UserID { return e.Owner }

// Flyer is what the schema calls a Bird.
type Flyer struct{ Name string }

// GraphQLType says what the schema calls a Flyer.
func (Flyer) GraphQLType() string { return "Bird" }

// IsNamed makes a Flyer Named.
func (Flyer) IsNamed() {}

// Stray has no owner, though the schema asks for one.
type Stray struct{ Name string }

// Locker holds its entries as a value and as a pointer, and has its owner by a method of the pointer.
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

// Cage is owned, for the one field of it that asks.
type Cage struct {
	Owner                                                                          token.UserID
	Inherited, Anybody, SignedIn, Keeper, Either, Recent, RecentAdmin, RecentOwner string
}

// OwnerID gives a Cage an owner.
func (c *Cage) OwnerID() token.UserID { return c.Owner }

// Person owns themself.
type Person struct {
	ID    token.UserID
	Email string
	Diary *Diary
}

// OwnerID makes a Person their own.
func (p *Person) OwnerID() token.UserID { return p.ID }

// Ticket signs in whom its claims name.
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

// Principal is whom the ticket signs in.
func (t *Ticket) Principal() *token.Claims { return &t.Claims }

// MarshalUserID writes the id of a user.
func MarshalUserID(id token.UserID) graphql.Marshaler { return graphql.MarshalID(string(id)) }

// UnmarshalUserID reads the id of a user.
func UnmarshalUserID(v any) (token.UserID, error) {
	s, err := graphql.UnmarshalID(v)
	return token.UserID(s), err
}
