package account

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// maxExported bounds each list of an export. Older rows are left out.
const maxExported = 10_000

// Export is what is stored about a user. It contains no secrets: no password hash, and nothing that tokens are made of.
type Export struct {
	At       store.Time
	Document map[string]any // to be encoded as JSON
}

// Further returns what is stored about a user in other tables, to be encoded as JSON.
type Further func(tx *store.Tx, user ID) (map[string]any, error)

// held is the row of a user.
type held struct {
	ID            ID          `db:"id" json:"id"`
	Email         string      `db:"email" json:"email"`
	EmailVerified bool        `db:"email_verified" json:"emailVerified"`
	Username      *string     `db:"username" json:"username"`
	Name          string      `db:"name" json:"name"`
	Roles         token.Roles `db:"roles" json:"roles"`
	HasPassword   bool        `db:"has_password" json:"hasPassword"`
	CreatedAt     store.Time  `db:"created_at" json:"createdAt"`
	UpdatedAt     store.Time  `db:"updated_at" json:"updatedAt"`
	Locale        *string     `db:"locale" json:"locale"`
	NotifySignIn  bool        `db:"notify_sign_in" json:"notifySignIn"`
	DisabledAt    *store.Time `db:"disabled_at" json:"disabledAt"`
	DeletesAt     *store.Time `db:"deletes_at" json:"deletesAt"`
	Now           store.Time  `db:"now" json:"-"`
}

// Export returns everything that is stored about the user id, read at one moment. further may be nil. The answer is
// direct and not a link in a mail, which would be a second credential for the same data: a thief
// with the mailbox could fetch them without a recent proof.
func (s *Service) Export(ctx context.Context, id ID, further Further, by audit.Actor) (e *Export, err error) {
	if !by.Operator {
		// In its own transaction: counting would make concurrent exports conflict.
		if err := s.throttle.Take(ctx, throttle.OwnActs, "export", string(id)); err != nil {
			return nil, err
		}
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.Snapshot(); err != nil {
			return err
		}
		if err := session.Authorize(tx, by, id); err != nil {
			return err
		}
		if e, err = export(tx, id, further); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.UserExported, By: by, User: id})
	})
	return e, err
}

func export(tx *store.Tx, id ID, further Further) (*Export, error) {
	var u held
	err := tx.Get(&u, `SELECT id, email, email_verified, username, name, roles, password_hash IS NOT NULL AS has_password,
		locale, notify_sign_in, created_at, updated_at, disabled_at, deletes_at, now_us() AS now
		FROM users WHERE id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("export user: %w", err)
	}
	sessions, err := session.Export(tx, id, maxExported)
	if err != nil {
		return nil, err
	}
	log, acts, err := audit.Export(tx, id, maxExported)
	if err != nil {
		return nil, err
	}
	seen, err := throttle.Export(tx, id)
	if err != nil {
		return nil, err
	}
	mails, err := mail.Export(tx, id, maxExported)
	if err != nil {
		return nil, err
	}
	passkeys, err := passkey.Export(tx, id)
	if err != nil {
		return nil, err
	}
	factors, err := mfa.Export(tx, id)
	if err != nil {
		return nil, err
	}
	document := map[string]any{
		"account":        u,
		"sessions":       sessions,
		"securityLog":    log,
		"acts":           acts,
		"knownAddresses": seen,
		"mails":          mails,
		"passkeys":       passkeys,
		"factors":        factors,
	}
	if further != nil {
		if document["application"], err = further(tx, id); err != nil {
			return nil, fmt.Errorf("export further data: %w", err)
		}
	}
	return &Export{At: u.Now, Document: document}, nil
}
