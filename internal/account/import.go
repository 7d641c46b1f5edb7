package account

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Add creates an account without signing it in.
func (s *Service) Add(ctx context.Context, in Registration, roles []token.Role) (*User, error) {
	u, err := s.validate(in)
	if err != nil {
		return nil, err
	}
	u.RoleList = joinRoles(append(roles, RoleUser))
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error { return create(tx, u, hash, audit.Origin{}) })
	return u, err
}

// Imported is one line of an import. The hash comes from another system; the password behind it may
// be shorter than a new one may be.
type Imported struct {
	Email         string       `json:"email"`
	EmailVerified bool         `json:"emailVerified"`
	Username      *string      `json:"username"`
	Name          *string      `json:"name"`
	PasswordHash  string       `json:"passwordHash"`
	Roles         []token.Role `json:"roles"`
	Disabled      bool         `json:"disabled"`
}

// Import creates an account for each JSON line of r, and returns how many it created and what was
// wrong with the others, which it skips.
func (s *Service) Import(ctx context.Context, r io.Reader) (created int, problems []error, err error) {
	lines := json.NewDecoder(r)
	for n := 1; ; n++ {
		var line json.RawMessage
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return created, problems, nil
		} else if err != nil { // where the next entry begins cannot be told
			return created, problems, fmt.Errorf("entry %d is not JSON: %w", n, err)
		}
		var in Imported
		entry := json.NewDecoder(bytes.NewReader(line))
		entry.DisallowUnknownFields() // a misspelt "roles" must not pass as none
		if err := entry.Decode(&in); err != nil {
			problems = append(problems, fmt.Errorf("entry %d (%q) is not the JSON of a user: %w", n, in.Email, err))
			continue
		}
		err := s.importOne(ctx, in)
		switch f := fault.As(err); {
		case err == nil:
			created++
		case ctx.Err() != nil, f != nil && f.Code == fault.Unavailable: // no better with the next
			return created, problems, fmt.Errorf("stopped at entry %d: %w", n, err)
		default:
			problems = append(problems, fmt.Errorf("entry %d (%q): %w", n, in.Email, err))
		}
	}
}

func (s *Service) importOne(ctx context.Context, in Imported) error {
	u, fields := identity(Registration{Email: in.Email, Username: in.Username, Name: in.Name})
	if err := fault.Invalid(fields); err != nil {
		return err
	}
	if in.PasswordHash != "" {
		if err := CheckImported(in.PasswordHash); err != nil {
			return err
		}
	}
	for _, role := range in.Roles {
		if !s.hasRole(role) {
			return fmt.Errorf("there is no role %q in the schema", role)
		}
	}
	u.RoleList = joinRoles(append(in.Roles, RoleUser))
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := create(tx, u, in.PasswordHash, audit.Origin{}); err != nil {
			return err
		}
		err := tx.Get(u, "UPDATE users SET email_verified = $2, disabled_at = CASE WHEN $3 THEN created_at END WHERE id = $1 RETURNING "+userColumns,
			u.ID, in.EmailVerified, in.Disabled)
		if err != nil {
			return fmt.Errorf("import user: %w", err)
		}
		return index(tx, u)
	})
}

// Find reads the user with an e-mail address, a username or an id; NOT_FOUND if there is none.
func (s *Service) Find(ctx context.Context, name string) (*User, error) {
	name = Trim(name)
	email, _ := EmailKey(name)
	username, _ := UsernameKey(name)
	var u User
	err := s.db.Get(ctx, &u, "SELECT "+userColumns+" FROM users WHERE id = $1 OR email_key = $2 OR username = $3", name, email, username)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	return &u, nil
}

// All calls f for every user in order of creation, reading in pages.
func (s *Service) All(ctx context.Context, f func(*User) error) error {
	const page = 500
	for after := ID(""); ; {
		var users []*User
		err := s.db.Select(ctx, &users, "SELECT "+userColumns+" FROM users WHERE id > $1 ORDER BY id LIMIT $2", after, page)
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		for _, u := range users {
			if err := f(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(users) < page {
			return nil
		}
	}
}
