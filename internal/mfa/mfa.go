package mfa

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// The amr values of factors. RFC 8176 has no value for a recovery code; otp would claim that the user has the device.
const (
	TOTPMethod     = "otp"
	RecoveryMethod = "recovery"
)

// Service sets up second factors and checks them.
type Service struct {
	db         *store.DB
	secret     *secret.Secret
	sealedBy   string
	challenges *challenge.Service
	issuer     string
	now        func() time.Time
}

// New returns a Service. Authenticator apps show issuer, the name of the site. now is the clock of TOTP.
func New(db *store.DB, s *secret.Secret, challenges *challenge.Service, issuer string, now func() time.Time) *Service {
	sealedBy := base64.RawURLEncoding.EncodeToString(s.Key("totp key id")[:8])
	return &Service{db: db, secret: s, sealedBy: sealedBy, challenges: challenges, issuer: issuer, now: now}
}

// Answer is a second factor as a caller presents it: one of its fields.
type Answer struct {
	Code         *string // of an authenticator app
	RecoveryCode *string
}

// Given reports whether there is an answer.
func (a Answer) Given() bool { return a.Code != nil || a.RecoveryCode != nil }

// Check returns EXACTLY_ONE_REQUIRED if both fields are given or none.
func (a Answer) Check() error {
	if (a.Code == nil) == (a.RecoveryCode == nil) {
		return fault.Invalid([]fault.Field{{Path: "input", Reason: fault.ExactlyOneRequired,
			Message: "give either code or recoveryCode"}})
	}
	return nil
}

// Methods returns the amr values of a sign-in that had proved others before this answer.
func (a Answer) Methods(others ...string) []string {
	if a.Code != nil {
		return append(others, TOTPMethod, token.MultiFactor)
	}
	return append(others, RecoveryMethod, token.MultiFactor)
}

// Prove checks an answer and uses it up in tx. It returns INVALID_CREDENTIALS for a wrong or used one.
func (s *Service) Prove(tx *store.Tx, user token.UserID, a Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	if a.Code != nil {
		return s.useCode(tx, user, true, *a.Code)
	}
	return useRecoveryCode(tx, user, *a.RecoveryCode)
}

// Remove removes all second factors of a user, also one whose setup is not confirmed.
func Remove(tx *store.Tx, user token.UserID) error {
	for _, table := range []string{"totp", "recovery_codes"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE user_id = $1", user); err != nil {
			return fmt.Errorf("remove factors: %w", err)
		}
	}
	return challenge.Void(tx, user, challenge.SecondFactor)
}

func wrong(path, message string) error {
	return fault.Invalid([]fault.Field{{Path: path, Reason: fault.InvalidCredentials, Message: message}})
}

// Factors is what a user has set up.
type Factors struct {
	TOTPSince         *store.Time `db:"totp_since"`
	RecoveryCodesLeft int32       `db:"recovery_codes_left"`
}

// Of returns the factors of a user.
func (s *Service) Of(ctx context.Context, user token.UserID) (*Factors, error) {
	var f Factors
	err := s.db.Get(ctx, &f, `SELECT (SELECT created_at FROM totp WHERE user_id = $1 AND confirmed) AS totp_since,
		(SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL) AS recovery_codes_left`, user)
	if err != nil {
		return nil, fmt.Errorf("read factors: %w", err)
	}
	return &f, nil
}
