package token

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	// maxSize is some ten times the size of a token with a few roles.
	maxSize = 8 << 10
	// cacheSize bounds the memory for verified tokens to about 10 MB.
	cacheSize = 10_000
)

// Every error of Verify is one of these. The text around it is for the log: a caller who learned
// which check failed would learn how to forge better.
var (
	ErrExpired = errors.New("token has expired")
	ErrInvalid = errors.New("token is not valid")
)

// Verifier verifies access tokens. Its methods may be called from many goroutines.
type Verifier struct {
	ring             *Ring
	issuer, audience string
	now              func() time.Time
	// verified is keyed by the whole token, so what it answers was verified byte for byte.
	verified *otter.Cache[[sha256.Size]byte, *Claims]
}

// NewVerifier makes a Verifier for tokens of this issuer, to this audience, signed by a key of the ring.
func NewVerifier(r *Ring, issuer, audience string, now func() time.Time) *Verifier {
	return &Verifier{
		ring: r, issuer: issuer, audience: audience, now: now,
		verified: otter.Must(&otter.Options[[sha256.Size]byte, *Claims]{
			MaximumSize: cacheSize,
			Executor:    func(f func()) { f() }, // no goroutine that outlives the Verifier
		}),
	}
}

// Verify returns the claims of a token, or an error that is ErrExpired if its age is all that is
// wrong with it, else ErrInvalid. The claims are shared with other callers: read only.
func (v *Verifier) Verify(raw string) (*Claims, error) {
	if len(raw) > maxSize {
		return nil, fmt.Errorf("%w: %d bytes long", ErrInvalid, len(raw))
	}
	// The header is compared, not read: an issuer knows its own. So a stranger's JSON is never parsed,
	// the algorithm is the key's and not the token's choice, and alg none, crit, b64, zip, another typ,
	// an embedded or remote key (jwk, jku, x5c, x5u) or a kid with a path in it are all the same to it.
	header, _, _ := strings.Cut(raw, ".")
	k := v.ring.current.Load().byHeader[header]
	if k == nil {
		return nil, fmt.Errorf("%w: not the header of a key in the ring", ErrInvalid)
	}
	sum := sha256.Sum256([]byte(raw))
	claims, cached := v.verified.GetIfPresent(sum) // its key was found above, so it still verifies
	if !cached {
		data, err := k.authenticate(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if claims, err = v.judge(data); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		claims.KeyID = k.id
	}
	// Age comes last: expired is what a token is called with which nothing else is wrong.
	if !v.now().Before(claims.ExpiresAt.Add(Leeway)) {
		return nil, fmt.Errorf("%w at %s", ErrExpired, claims.ExpiresAt.Format(time.RFC3339))
	}
	if !cached {
		v.verified.Set(sum, claims)
	}
	return claims, nil
}

// authenticate returns the payload if the signature over it is right. golang-jwt's parser is not used
// for it: it would parse before it verifies, takes the last of two equal names and any case of them,
// ignores crit and typ, and lets line breaks pass inside a segment.
func (k *key) authenticate(raw string) (data []byte, err error) {
	dot := strings.LastIndexByte(raw, '.')
	if strings.Count(raw, ".") != 2 {
		return nil, errors.New("not three segments")
	}
	signature, err := decodeSegment(raw[dot+1:])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if err := k.method.Verify(raw[:dot], signature, k.public); err != nil {
		return nil, err
	}
	return decodeSegment(raw[strings.IndexByte(raw, '.')+1 : dot])
}

// decodeSegment accepts the one spelling that RFC 7515 section 2 allows: no padding, no unused bits
// set, and no line breaks, which encoding/base64 skips even when strict.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in base64")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// judge decides whether authentic claims are for this service and not from the future.
func (v *Verifier) judge(data []byte) (*Claims, error) {
	p, err := parsePayload(data)
	if err != nil {
		return nil, err
	}
	soon := v.now().Add(Leeway)
	switch {
	case p.issuer != v.issuer:
		return nil, fmt.Errorf("issued by %q", p.issuer)
	case !slices.Contains(p.audience, v.audience):
		return nil, fmt.Errorf("meant for %q", p.audience)
	case p.IssuedAt.After(soon) || p.notBefore.After(soon) || p.AuthTime.After(soon):
		return nil, errors.New("from the future")
	}
	return &p.Claims, nil
}
