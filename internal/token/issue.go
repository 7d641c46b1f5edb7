package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer issues access tokens signed with the active key of a ring.
type Issuer struct {
	ring             *Ring
	issuer, audience string
	life             time.Duration
	now              func() time.Time
}

// NewIssuer returns an Issuer whose tokens expire after life.
func NewIssuer(r *Ring, issuer, audience string, life time.Duration, now func() time.Time) *Issuer {
	return &Issuer{ring: r, issuer: issuer, audience: audience, life: life, now: now}
}

// Now returns the time by the clock of the issuer.
func (i *Issuer) Now() time.Time { return i.now() }

// Issue returns an access token issued now. See IssueAt.
func (i *Issuer) Issue(c Claims, notAfter time.Time) (raw string, issued Claims, err error) {
	return i.IssueAt(i.now(), c, notAfter)
}

// IssueAt returns a signed access token (RFC 9068) and its claims. It sets ID, KeyID, IssuedAt, which is at, and
// ExpiresAt, which is at most notAfter, the end of the session. It limits AuthTime to IssuedAt.
func (i *Issuer) IssueAt(at time.Time, c Claims, notAfter time.Time) (raw string, issued Claims, err error) {
	k := i.ring.current.Load().active
	if k == nil {
		return "", Claims{}, errors.New("issue a token: there is no active signing key")
	}
	seconds := func(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }
	c.ID, c.KeyID = rand.Text(), k.id
	c.IssuedAt = seconds(at)
	c.ExpiresAt = c.IssuedAt.Add(i.life)
	if end := seconds(notAfter); end.Before(c.ExpiresAt) {
		c.ExpiresAt = end
	}
	c.AuthTime = seconds(c.AuthTime)
	// AuthTime comes from the database's clock, which may be ahead. Verify would refuse a time in the future.
	if c.AuthTime.After(c.IssuedAt) {
		c.AuthTime = c.IssuedAt
	}
	c.Roles, c.Methods = append([]Role{}, c.Roles...), append([]string{}, c.Methods...) // never null
	if c.UserID == "" || c.SessionID == "" || !c.ExpiresAt.After(c.IssuedAt) {
		const format = "issue a token: session %q of user %q is not live: it ends at %s"
		return "", Claims{}, fmt.Errorf(format, c.SessionID, c.UserID, notAfter)
	}
	claims := jwt.MapClaims{
		"iss": i.issuer, "aud": i.audience, "sub": c.UserID, "jti": c.ID,
		"iat": c.IssuedAt.Unix(), "exp": c.ExpiresAt.Unix(), "auth_time": c.AuthTime.Unix(),
		"sid": c.SessionID, "gen": c.Generation, "ver": c.Version, "roles": c.Roles, "amr": c.Methods,
	}
	if c.EmailVerified {
		claims["email_verified"] = true
	}
	if c.HasFactor {
		claims["has_factor"] = true
	}
	raw, err = k.unsigned(i.ring.options.Type, claims).SignedString(k.private)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issue a token: %w", err)
	}
	return raw, c, nil
}
