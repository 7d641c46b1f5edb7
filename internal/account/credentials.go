package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
)

// Credentials are a user with the stored password hash.
type Credentials struct {
	User
	PasswordHash string `db:"password_hash"` // empty without a password and for an unknown user
}

const credentialColumns = userColumns + ", COALESCE(password_hash, '') AS password_hash"

// CredentialsByName looks a user up by e-mail address or by username; the other one is nil. For an unknown user
// it returns empty Credentials and no error, so that a login takes the same path.
//
// key identifies the attempt for the throttle: the lookup key, which is equal for all spellings that lead to one
// account, or the text itself if no account can have that name.
func (s *Service) CredentialsByName(
	ctx context.Context, email, username *string,
) (c Credentials, key string, err error) {
	column, text, keyOf := "email_key", email, EmailKey
	if text == nil {
		column, text, keyOf = "username", username, UsernameKey
	}
	name, possible := keyOf(*text)
	if !possible {
		return c, column + " " + *text, nil
	}
	c, err = s.credentials(ctx, column, name)
	return c, column + " " + name, err
}

// CredentialsByID looks a user up by id. For an unknown user it returns empty Credentials and no error.
func (s *Service) CredentialsByID(ctx context.Context, id ID) (Credentials, error) {
	return s.credentials(ctx, "id", string(id))
}

func (s *Service) credentials(ctx context.Context, column, value string) (c Credentials, err error) {
	err = s.db.Get(ctx, &c, "SELECT "+credentialColumns+" FROM users WHERE "+column+" = $1", value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	return c, nil
}

// HasPasswordHash reports whether the account exists, is enabled, and still has this password hash.
func HasPasswordHash(tx *store.Tx, id ID, hash string) (ok bool, err error) {
	err = tx.Get(&ok, `SELECT EXISTS (SELECT 1 FROM users
		WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL)`, id, hash)
	if err != nil {
		return false, fmt.Errorf("check password hash: %w", err)
	}
	return ok, nil
}

// ReplacePasswordHash stores a new password hash if the account still has the old one, and reports whether it had.
func ReplacePasswordHash(tx *store.Tx, id ID, old, hash string) (ok bool, err error) {
	replaced, err := tx.Exec(`UPDATE users SET password_hash = $3, updated_at = now_us()
		WHERE id = $1 AND password_hash = $2`, id, old, hash)
	if err != nil {
		return false, fmt.Errorf("replace password hash: %w", err)
	}
	return replaced > 0, nil
}
