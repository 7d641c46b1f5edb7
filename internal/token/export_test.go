package token

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// The limits, for tests.
const (
	CacheSize = cacheSize
	MaxSize   = maxSize
)

// Thumbprint calls thumbprint.
func Thumbprint(public any) (string, error) { return thumbprint(public) }

// ParsePublicJWK calls parsePublicJWK.
func ParsePublicJWK(a Algorithm, text string) (any, error) {
	jwk, err := parsePublicJWK(a, text)
	if err != nil {
		return nil, err
	}
	return jwk.Key, nil
}

// Authenticate checks the header and signature of a JWS as Verify does, for a key whose tokens have the given header.
func Authenticate(a Algorithm, public any, header, raw string) error {
	if !a.fits(public) {
		return errors.New("key does not fit the algorithm")
	}
	if h, _, _ := strings.Cut(raw, "."); h != header {
		return errors.New("another header")
	}
	k := &key{algorithm: a, method: jwt.GetSigningMethod(string(a)), public: public}
	_, err := k.authenticate(raw)
	return err
}

// CheckSignature verifies a signature over a message without any encoding.
func CheckSignature(a Algorithm, public any, message, signature []byte) error {
	if !a.fits(public) {
		return errors.New("key does not fit the algorithm")
	}
	return jwt.GetSigningMethod(string(a)).Verify(string(message), signature, public)
}

// Sign signs an arbitrary header and payload with the active key.
func (r *Ring) Sign(header, payload string) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	k := r.current.Load().active
	signing := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := k.method.Sign(signing, k.private)
	return signing + "." + encode(signature), err
}

// Cached returns the number of tokens in the cache.
func (v *Verifier) Cached() int {
	v.verified.CleanUp()
	return v.verified.EstimatedSize()
}

// NewKeyID generates a key as rotation does, without storing it, and returns its id.
func (r *Ring) NewKeyID() (string, error) {
	row, err := r.newRow()
	return row.KeyID, err
}
