package social

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Identity is a user of a provider, linked to an account.
type Identity struct {
	ID         string       `db:"id" json:"-"`
	UserID     token.UserID `db:"user_id" json:"-"`
	Provider   string       `db:"provider" json:"provider"` // its name when the identity was linked
	Issuer     string       `db:"issuer" json:"issuer"`
	Subject    string       `db:"subject" json:"subject"`
	Email      string       `db:"email" json:"email"` // as of the last sign-in; may be empty
	CreatedAt  store.Time   `db:"created_at" json:"createdAt"`
	LastUsedAt store.Time   `db:"last_used_at" json:"lastUsedAt"`
}

// OwnerID returns the identity's user, for @auth(owner: true).
func (i *Identity) OwnerID() token.UserID { return i.UserID }

const columns = "id, user_id, provider, issuer, subject, email, created_at, last_used_at"

// ErrIdentityTaken refuses an identity that is linked already.
var ErrIdentityTaken = fault.New(fault.Conflict, fault.IdentityTaken, "this sign-in is linked to an account already")

var errIdentityNotFound = fault.New(fault.NotFound, fault.IdentityNotFound, "there is no such linked sign-in")

// Owner returns the user whom an identity signs in; empty for none.
func (s *Service) Owner(ctx context.Context, c *Claims) (user token.UserID, err error) {
	err = s.db.Get(ctx, &user, "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2", c.Issuer, c.Subject)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read identity: %w", err)
	}
	return user, nil
}

// Use records in tx that an identity has signed its user in. It returns ErrIdentityTaken if that is another one now.
func Use(tx *store.Tx, user token.UserID, c *Claims) error {
	used, err := tx.Exec(`UPDATE identities SET last_used_at = now_us(), email = $4
		WHERE issuer = $1 AND subject = $2 AND user_id = $3`, c.Issuer, c.Subject, user, c.Email)
	if err != nil {
		return fmt.Errorf("use identity: %w", err)
	}
	if used == 0 {
		return ErrIdentityTaken
	}
	return nil
}

// Link links an identity to a user in tx, or returns ErrIdentityTaken.
func Link(tx *store.Tx, user token.UserID, c *Claims) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("identity id: %w", err)
	}
	linked, err := tx.Exec(`INSERT INTO identities (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, now_us(), now_us())
		ON CONFLICT (issuer, subject) DO NOTHING`, id.String(), user, c.Provider, c.Issuer, c.Subject, c.Email)
	if err != nil {
		return fmt.Errorf("link identity: %w", err)
	}
	if linked == 0 {
		return ErrIdentityTaken
	}
	return nil
}

// Unlink removes an identity of a user in tx, whose row is locked.
func Unlink(tx *store.Tx, user token.UserID, id string) (*Identity, error) {
	if uuid.Validate(id) != nil {
		return nil, errIdentityNotFound
	}
	var i Identity
	err := tx.Get(&i, "DELETE FROM identities WHERE id = $1 AND user_id = $2 RETURNING "+columns, id, user)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errIdentityNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("unlink identity: %w", err)
	}
	return &i, nil
}

// UnlinkAll removes all identities of a user in tx.
func UnlinkAll(tx *store.Tx, user token.UserID) error {
	if _, err := tx.Exec("DELETE FROM identities WHERE user_id = $1", user); err != nil {
		return fmt.Errorf("unlink identities: %w", err)
	}
	return nil
}

// Has reports whether a user can sign in with an identity: one of a provider that is still configured.
func (s *Service) Has(tx *store.Tx, user token.UserID) (has bool, err error) {
	if len(s.sites) == 0 {
		return false, nil
	}
	q := store.Query{}
	query := "SELECT EXISTS (SELECT 1 FROM identities WHERE user_id = " + q.Arg(user) + " AND issuer IN " +
		store.In(&q, s.issuers()) + ")"
	if err := tx.Get(&has, query, q.Args...); err != nil {
		return false, fmt.Errorf("look for identities: %w", err)
	}
	return has, nil
}

// List returns the identities of users, the oldest first.
func (s *Service) List(ctx context.Context, users []token.UserID) (map[token.UserID][]*Identity, error) {
	q := store.Query{}
	var all []*Identity
	query := "SELECT " + columns + " FROM identities WHERE user_id IN " + store.In(&q, users) + " ORDER BY id"
	if err := s.db.Select(ctx, &all, query, q.Args...); err != nil {
		return nil, fmt.Errorf("list identities: %w", err)
	}
	lists := make(map[token.UserID][]*Identity, len(users))
	for _, one := range all {
		lists[one.UserID] = append(lists[one.UserID], one)
	}
	return lists, nil
}

// Export returns the identities of a user, to be encoded as JSON.
func Export(tx *store.Tx, user token.UserID) (all []Identity, err error) {
	all = []Identity{} // not null in JSON
	if err := tx.Select(&all, "SELECT "+columns+" FROM identities WHERE user_id = $1 ORDER BY id", user); err != nil {
		return nil, fmt.Errorf("export identities: %w", err)
	}
	return all, nil
}
