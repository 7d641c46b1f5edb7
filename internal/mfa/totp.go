package mfa

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// The codes have six digits, change every 30 seconds and use HMAC-SHA-1, because common apps ignore other parameters
// in the URI (RFC 6238). The step before and the one after are accepted too, for clocks that differ.
const (
	period     = 30 * time.Second
	tolerance  = 1
	secretSize = 20 // bytes, as RFC 4226 section 4 recommends
)

const sealing = "totp secret"

// Setup is what an authenticator app needs.
type Setup struct {
	Secret string // base32, to type
	URI    string // otpauth://
	QR     string // the URI as a QR code, in SVG
}

// Begin starts a setup, which replaces one that was not confirmed. label names the account in the app. A confirmed
// authenticator stays in force until Confirm replaces it.
func (s *Service) Begin(tx *store.Tx, user token.UserID, label string) (*Setup, error) {
	raw := secret.Random(secretSize)
	key, err := totp.Generate(totp.GenerateOpts{Issuer: s.issuer, AccountName: label, Secret: raw,
		Period: uint(period / time.Second)})
	if err != nil {
		return nil, fmt.Errorf("make totp key: %w", err)
	}
	svg, err := qrCode(key.URL())
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(`INSERT INTO totp (user_id, confirmed, sealed, sealed_by, last_step, created_at)
		VALUES ($1, FALSE, $2, $3, 0, now_us())
		ON CONFLICT (user_id, confirmed) DO UPDATE SET sealed = excluded.sealed, sealed_by = excluded.sealed_by,
			last_step = 0, created_at = excluded.created_at`, user, s.seal(user, key.Secret()), s.sealedBy)
	if err != nil {
		return nil, fmt.Errorf("begin totp: %w", err)
	}
	return &Setup{Secret: key.Secret(), URI: key.URL(), QR: svg}, nil
}

// errNoSetup refuses a confirmation that came twice. The caller has the authenticator, and can make recovery codes.
var errNoSetup = fault.Invalid([]fault.Field{{Path: "input.code", Reason: fault.ChallengeInvalid,
	Message: "no setup waits for a code: begin one, or make new recovery codes if it was just confirmed"}})

// Confirm ends the setup by its first code. It replaces the authenticator that the user had before and all recovery
// codes, and returns the new ones.
func (s *Service) Confirm(tx *store.Tx, user token.UserID, code string) (recoveryCodes []string, err error) {
	var waiting bool
	err = tx.Get(&waiting, "SELECT EXISTS (SELECT 1 FROM totp WHERE user_id = $1 AND NOT confirmed)", user)
	if err != nil {
		return nil, fmt.Errorf("read totp setup: %w", err)
	}
	if !waiting {
		return nil, errNoSetup
	}
	if err := s.useCode(tx, user, false, code); err != nil {
		return nil, err
	}
	for _, statement := range []string{
		"DELETE FROM totp WHERE user_id = $1 AND confirmed",
		"UPDATE totp SET confirmed = TRUE, created_at = now_us() WHERE user_id = $1",
	} {
		if _, err := tx.Exec(statement, user); err != nil {
			return nil, fmt.Errorf("confirm totp: %w", err)
		}
	}
	return Regenerate(tx, user)
}

// useCode accepts a code whose step is later than that of the last accepted one (RFC 6238 section 5.2).
func (s *Service) useCode(tx *store.Tx, user token.UserID, confirmed bool, code string) error {
	refusal := wrong("input.code", "the code is wrong, or was used before: wait for the next one")
	var row struct {
		Sealed   string `db:"sealed"`
		LastStep int64  `db:"last_step"`
	}
	err := tx.Get(&row, "SELECT sealed, last_step FROM totp WHERE user_id = $1 AND confirmed = $2", user, confirmed)
	if errors.Is(err, sql.ErrNoRows) {
		return refusal
	}
	if err != nil {
		return fmt.Errorf("read totp: %w", err)
	}
	key, err := s.unseal(user, row.Sealed)
	if err != nil {
		return err
	}
	step, err := s.match(key, code, row.LastStep)
	if err != nil {
		return err
	}
	used, err := tx.Exec("UPDATE totp SET last_step = $3 WHERE user_id = $1 AND confirmed = $2 AND last_step < $3",
		user, confirmed, step)
	if err != nil {
		return fmt.Errorf("use totp code: %w", err)
	}
	if used == 0 {
		return refusal
	}
	return nil
}

// match returns the first step after last whose code it is; last for none.
func (s *Service) match(key, code string, last int64) (step int64, err error) {
	code = strings.ReplaceAll(code, " ", "") // apps show the digits in groups
	now := s.now().Unix() / int64(period/time.Second)
	step = last
	for at := now + tolerance; at >= now-tolerance; at-- {
		want, err := hotp.GenerateCode(key, uint64(at))
		if err != nil {
			return 0, fmt.Errorf("make totp code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && at > last {
			step = at
		}
	}
	return step, nil
}

func (s *Service) seal(user token.UserID, key string) string {
	return base64.StdEncoding.EncodeToString(s.secret.Seal(sealing, []byte(key), []byte(user)))
}

func (s *Service) unseal(user token.UserID, sealed string) (key string, err error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("decode totp secret: %w", err)
	}
	plain, _, err := s.secret.Unseal(sealing, raw, []byte(user))
	if err != nil {
		return "", fmt.Errorf("totp secret: %w", err)
	}
	return string(plain), nil
}

// resealBatch is how many secrets Reseal reads at once.
const resealBatch = 500

// Reseal seals the secrets again that an earlier deployment secret has sealed. It leaves out those that no accepted
// secret unseals: they work again once that secret is accepted.
func (s *Service) Reseal(ctx context.Context) error {
	for after := token.UserID(""); ; {
		var rows []struct {
			User   token.UserID `db:"user_id"`
			Sealed string       `db:"sealed"`
		}
		err := s.db.Select(ctx, &rows, `SELECT user_id, sealed FROM totp
			WHERE sealed_by <> $1 AND user_id > $2 AND confirmed ORDER BY user_id LIMIT $3`, s.sealedBy, after, resealBatch)
		if err != nil {
			return fmt.Errorf("read totp secrets: %w", err)
		}
		for _, row := range rows {
			after = row.User
			key, err := s.unseal(row.User, row.Sealed)
			if errors.Is(err, secret.ErrUnseal) {
				continue
			}
			if err != nil {
				return err
			}
			err = s.db.Tx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE totp SET sealed = $3, sealed_by = $4 WHERE user_id = $1 AND sealed = $2",
					row.User, row.Sealed, s.seal(row.User, key), s.sealedBy)
				return err
			})
			if err != nil {
				return fmt.Errorf("seal a totp secret again: %w", err)
			}
		}
		if len(rows) < resealBatch {
			return nil
		}
	}
}
