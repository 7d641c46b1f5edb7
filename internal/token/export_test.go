package token

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// CacheSize and MaxSize are the bounds that tests go up to.
const (
	CacheSize = cacheSize
	MaxSize   = maxSize
)

// Thumbprint is thumbprint.
func Thumbprint(public any) (string, error) { return thumbprint(public) }

// ParsePublicJWK is parsePublicJWK.
func ParsePublicJWK(a Algorithm, text string) (any, error) {
	jwk, err := parsePublicJWK(a, text)
	if err != nil {
		return nil, err
	}
	return jwk.Key, nil
}

// Authenticate checks a foreign JWS the way Verify does before it looks at claims, for a key whose
// tokens all carry the given header.
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

// CheckSignature is the signature layer alone.
func CheckSignature(a Algorithm, public any, message, signature []byte) error {
	if !a.fits(public) {
		return errors.New("key does not fit the algorithm")
	}
	return jwt.GetSigningMethod(string(a)).Verify(string(message), signature, public)
}

// Sign signs any header and payload with the active key: what only a fault of this program could make.
func (r *Ring) Sign(header, payload string) (string, error) {
	k := r.current.Load().active
	signing := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := k.method.Sign(signing, k.private)
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// Cached is the number of tokens in the cache.
func (v *Verifier) Cached() int {
	v.verified.CleanUp()
	return v.verified.EstimatedSize()
}

// NewKeyID makes a key as rotation does, writes it nowhere, and returns its id.
func (r *Ring) NewKeyID() (string, error) {
	row, err := r.newRow()
	return row.KeyID, err
}
