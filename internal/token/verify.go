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
	// maxSize is about ten times the size of a token with a few roles, which is at most usualSize.
	maxSize, usualSize = 8 << 10, 1 << 10
	// cacheSize bounds the memory for verified tokens to about 10 MB.
	cacheSize = 10_000
)

// The errors of Verify wrap one of these. The wrapping text is only for the log, because the name of the failed check
// helps a forger.
var (
	ErrExpired = errors.New("token has expired")
	ErrInvalid = errors.New("token is not valid")
)

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	ring             *Ring
	issuer, audience string
	now              func() time.Time
	// verified caches the claims of verified tokens, keyed by a hash of the whole token.
	verified *otter.Cache[[sha256.Size]byte, *Claims]
}

// NewVerifier returns a Verifier for tokens of this issuer and audience, signed by a key of the ring.
func NewVerifier(r *Ring, issuer, audience string, now func() time.Time) *Verifier {
	return &Verifier{
		ring: r, issuer: issuer, audience: audience, now: now,
		verified: otter.Must(&otter.Options[[sha256.Size]byte, *Claims]{
			MaximumSize: cacheSize,
			Executor:    func(f func()) { f() }, // so that no goroutine outlives the Verifier
		}),
	}
}

// Verify returns the claims of a token. The error is ErrExpired if the token is valid except for its age, else
// ErrInvalid. Callers share the claims and must not modify them.
func (v *Verifier) Verify(raw string) (*Claims, error) {
	if len(raw) > maxSize {
		return nil, fmt.Errorf("%w: %d bytes long", ErrInvalid, len(raw))
	}
	// Compare the header with those this ring writes, and do not parse it. The key, not the token, determines the
	// algorithm, and no attack through alg none, crit, b64, zip, typ, kid, or an embedded or remote key (jwk, jku, x5c,
	// x5u) reaches a parser.
	header, _, _ := strings.Cut(raw, ".")
	k := v.ring.current.Load().byHeader[header]
	if k == nil {
		return nil, fmt.Errorf("%w: not the header of a key in the ring", ErrInvalid)
	}
	var onStack [usualSize]byte // saves the copy that a conversion makes on the heap
	sum := sha256.Sum256(append(onStack[:0], raw...))
	claims, cached := v.verified.GetIfPresent(sum) // the lookup above has checked that the key is still valid
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
	// Check the age last: ErrExpired means that nothing else is wrong.
	if !v.now().Before(claims.ExpiresAt.Add(Leeway)) {
		return nil, fmt.Errorf("%w at %s", ErrExpired, claims.ExpiresAt.Format(time.RFC3339))
	}
	if !cached {
		v.verified.Set(sum, claims)
	}
	return claims, nil
}

// authenticate verifies the signature and returns the payload. It does not use golang-jwt's parser, which parses before
// it verifies, accepts duplicate names in any case, ignores crit and typ, and allows line breaks inside a segment.
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

// decodeSegment decodes base64url as RFC 7515 section 2 requires: without padding, without unused bits set, and without
// line breaks, which encoding/base64 skips even in strict mode.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in base64")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// judge checks that authentic claims are meant for this service and do not lie in the future.
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
