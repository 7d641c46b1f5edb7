package account

import (
	"context"
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

// Import creates an account for each entry of a file. It skips entries with a mistake, and returns the number of
// accounts created and the problems of the others.
func (s *Service) Import(
	ctx context.Context, file *userfile.Reader, by audit.Actor,
) (created int, problems []error, err error) {
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
			problem = s.importOne(ctx, &entry.User, by)
		}
		switch f := fault.As(problem); {
		case problem == nil:
			created++
		case ctx.Err() != nil, f != nil && f.Code == fault.Unavailable: // would fail for the next entry too
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
func (s *Service) importOne(ctx context.Context, in *userfile.User, by audit.Actor) error {
	u, fields := identity(Registration{Email: in.Email, Username: importedUsername(in), Name: &in.Name})
	if locale, problems := ParseLocale("", in.Locale); problems == nil { // other systems store any text
		u.Locale = &locale
	}
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
	u.ID, u.Roles = ID(in.ID), token.NewRoles(append(in.Roles, RoleUser)...)
	if !in.CreatedAt.IsZero() {
		u.CreatedAt = store.TimeOf(in.CreatedAt)
	}
	if u.ID == "" {
		id, err := newID(u.CreatedAt)
		if err != nil {
			return err
		}
		u.ID = id
	}
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := Create(tx, u, in.PasswordHash, by); err != nil {
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
