package mfa

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Method is a kind of second factor, as in the SDL's enum SecondFactorMethod.
type Method string

// The methods.
const (
	TOTP         Method = "TOTP"
	RecoveryCode Method = "RECOVERY_CODE"
)

// Pending is a sign-in that waits for a second factor.
type Pending struct {
	// Challenge is set by Open, for Redeem.
	Challenge *challenge.Challenge `json:"-"`
	// Methods are the amr values proved so far.
	Methods []string `json:"methods"`
	// Name is that of the throttled attempt.
	Name string `json:"name"`
}

// Demand records a sign-in of user that waits for a second factor. It returns the refusal that names the challenge,
// UNAUTHENTICATED with SECOND_FACTOR_REQUIRED, as a value: the caller returns it after the commit. The challenge is
// void after a change of the password or of a factor.
func (s *Service) Demand(tx *store.Tx, user token.UserID, p Pending) (refusal, err error) {
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode pending sign-in: %w", err)
	}
	methods := []string{string(TOTP)}
	left, err := RecoveryCodesLeft(tx, user)
	if err != nil {
		return nil, err
	}
	if left > 0 {
		methods = append(methods, string(RecoveryCode))
	}
	c := &challenge.Challenge{Kind: challenge.SecondFactor, User: user, Payload: payload}
	reference, err := s.challenges.Issue(tx, c)
	if err != nil {
		return nil, err
	}
	id, err := s.challenges.Reveal(reference)
	if err != nil {
		return nil, err
	}
	e := fault.New(fault.Unauthenticated, fault.SecondFactorRequired,
		"answer extensions.challenge with a second factor, by completeLogin")
	expires := s.challenges.Expiry(challenge.SecondFactor).UTC().Truncate(time.Microsecond)
	e.Challenge = &fault.Challenge{ID: id, Methods: methods, ExpiresAt: expires}
	return e, nil
}

// Open returns the sign-in that a challenge from Demand names. Each call costs one of five attempts.
func (s *Service) Open(ctx context.Context, id string) (p Pending, err error) {
	p.Challenge, err = s.challenges.Try(ctx, challenge.SecondFactor, id)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(p.Challenge.Payload, &p); err != nil {
		return p, fmt.Errorf("decode pending sign-in: %w", err)
	}
	return p, nil
}

// Redeem uses the challenge up in tx.
func (s *Service) Redeem(tx *store.Tx, p Pending) error { return s.challenges.Redeem(tx, p.Challenge) }
