package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
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

// Import creates an account for each entry of a file. It skips entries with a mistake, and returns the number of
// accounts created and the problems of the others.
func (s *Service) Import(ctx context.Context, file *userfile.Reader) (created int, problems []error, err error) {
	for {
		entry, err := file.Read()
		if errors.Is(err, io.EOF) {
			return created, problems, nil
		}
		if err != nil {
			return created, problems, err
		}
		problem := entry.Problem
		if problem == nil {
			problem = s.importOne(ctx, &entry.User)
		}
		switch f := fault.As(problem); {
		case problem == nil:
			created++
		case ctx.Err() != nil, f != nil && f.Code == fault.Unavailable: // no better with the next
			return created, problems, fmt.Errorf("stopped at line %d: %w", entry.Line, problem)
		default:
			problems = append(problems, fmt.Errorf("line %d%s: %w", entry.Line, named(entry.Email), problem))
		}
	}
}

// named names an account by its address. It prints nothing else, because the text can be a hash in the wrong column.
func named(email string) string {
	if _, ok := EmailKey(email); !ok {
		return ""
	}
	return fmt.Sprintf(" (%q)", email)
}

// importOne creates an account with the password hash of another system. The password policy does not apply.
func (s *Service) importOne(ctx context.Context, in *userfile.User) error {
	u, fields := identity(Registration{Email: in.Email, Username: importedUsername(in), Name: &in.Name})
	if err := fault.Invalid(fields); err != nil {
		return err
	}
	if in.PasswordHash != "" {
		if _, err := password.Parse(in.PasswordHash); err != nil {
			return err
		}
	}
	for _, role := range in.Roles {
		if !s.hasRole(role) {
			return fmt.Errorf("there is no role %s in the schema", userfile.Printable(string(role)))
		}
	}
	u.ID, u.RoleList = ID(in.ID), joinRoles(append(in.Roles, RoleUser))
	if !in.CreatedAt.IsZero() {
		u.CreatedAt = store.TimeOf(in.CreatedAt)
	}
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := create(tx, u, in.PasswordHash, audit.Origin{}); err != nil {
			return err
		}
		err := tx.Get(u, `UPDATE users SET email_verified = $2, disabled_at = CASE WHEN $3 THEN now_us() END
			WHERE id = $1 RETURNING `+userColumns, u.ID, in.EmailVerified, in.Disabled)
		if err != nil {
			return fmt.Errorf("import user: %w", err)
		}
		return index(tx, u)
	})
}

// importedUsername folds a username as login does. It drops a username that repeats the address, as many systems
// store it.
func importedUsername(in *userfile.User) *string {
	username, _ := UsernameKey(in.Username)
	address, isAddress := EmailKey(in.Username)
	if own, _ := EmailKey(in.Email); username == "" || isAddress && address == own {
		return nil
	}
	return &username
}

// Find reads the user with an e-mail address, a username or an id; NOT_FOUND if there is none.
func (s *Service) Find(ctx context.Context, name string) (*User, error) {
	name = Trim(name)
	email, _ := EmailKey(name)
	username, _ := UsernameKey(name)
	var u User
	err := s.db.Get(ctx, &u, "SELECT "+userColumns+" FROM users WHERE id = $1 OR email_key = $2 OR username = $3", name, email, username)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserNotFound
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
