package mfa

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	recoveryCodes = 10
	// recoverySize is the size of a code in bytes. From 112 bits on, a plain hash is enough (ASVS 6.5.2): no guessing
	// finds the code, so it needs no slow hash, and survives a change of the deployment secret.
	recoverySize  = 15
	recoveryGroup = 4 // characters between hyphens
)

// Regenerate replaces the recovery codes of a user and returns the new ones. They are not stored, so they can be shown
// only now.
func Regenerate(tx *store.Tx, user token.UserID) (codes []string, err error) {
	if _, err := tx.Exec("DELETE FROM recovery_codes WHERE user_id = $1", user); err != nil {
		return nil, fmt.Errorf("delete recovery codes: %w", err)
	}
	for range recoveryCodes {
		code := base32.StdEncoding.EncodeToString(secret.Random(recoverySize))
		_, err := tx.Exec("INSERT INTO recovery_codes (user_id, hash, created_at) VALUES ($1, $2, now_us())",
			user, recoveryHash(user, code))
		if err != nil {
			return nil, fmt.Errorf("store recovery code: %w", err)
		}
		for at := len(code) - recoveryGroup; at > 0; at -= recoveryGroup {
			code = code[:at] + "-" + code[at:]
		}
		codes = append(codes, code)
	}
	return codes, nil
}

func useRecoveryCode(tx *store.Tx, user token.UserID, code string) error {
	used, err := tx.Exec(`UPDATE recovery_codes SET used_at = now_us()
		WHERE user_id = $1 AND hash = $2 AND used_at IS NULL`, user, recoveryHash(user, canonical(code)))
	if err != nil {
		return fmt.Errorf("use recovery code: %w", err)
	}
	if used == 0 {
		return wrong("input.recoveryCode", "the recovery code is wrong, or was used before")
	}
	return nil
}

// RecoveryCodesLeft returns how many recovery codes of a user are unused.
func RecoveryCodesLeft(tx *store.Tx, user token.UserID) (left int, err error) {
	err = tx.Get(&left, "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL", user)
	if err != nil {
		return 0, fmt.Errorf("count recovery codes: %w", err)
	}
	return left, nil
}

// confusable maps what users type for the letters of base32, which has none of these digits.
var confusable = strings.NewReplacer(" ", "", "-", "", "0", "O", "1", "I", "8", "B")

// canonical returns a recovery code as it was hashed.
func canonical(code string) string { return confusable.Replace(strings.ToUpper(code)) }

// recoveryHash returns the stored form of a canonical code. The user makes equal codes differ.
func recoveryHash(user token.UserID, code string) string {
	sum := sha256.Sum256([]byte("graphwarden recovery code\x00" + string(user) + "\x00" + code))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}
