package mfa

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Held is what is stored about the second factors of a user, except secrets.
type Held struct {
	Authenticators []HeldAuthenticator `json:"authenticators"`
	RecoveryCodes  []HeldRecoveryCode  `json:"recoveryCodes"`
}

// HeldAuthenticator is an authenticator app.
type HeldAuthenticator struct {
	Confirmed bool       `db:"confirmed" json:"confirmed"`
	CreatedAt store.Time `db:"created_at" json:"createdAt"`
}

// HeldRecoveryCode is a recovery code.
type HeldRecoveryCode struct {
	CreatedAt store.Time  `db:"created_at" json:"createdAt"`
	UsedAt    *store.Time `db:"used_at" json:"usedAt"`
}

// Export returns the second factors of a user.
func Export(tx *store.Tx, user token.UserID) (*Held, error) {
	held := &Held{Authenticators: []HeldAuthenticator{}, RecoveryCodes: []HeldRecoveryCode{}} // not null in JSON
	err := tx.Select(&held.Authenticators, `SELECT confirmed, created_at FROM totp
		WHERE user_id = $1 ORDER BY created_at`, user)
	if err == nil {
		err = tx.Select(&held.RecoveryCodes, `SELECT created_at, used_at FROM recovery_codes
			WHERE user_id = $1 ORDER BY created_at, used_at`, user)
	}
	if err != nil {
		return nil, fmt.Errorf("export factors: %w", err)
	}
	return held, nil
}
