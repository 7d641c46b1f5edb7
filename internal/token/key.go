package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/graphwarden/graphwarden/internal/secret"
)

// Algorithm is a JWS algorithm (RFC 7518, 8037).
type Algorithm string

// The signing algorithms. HS256 publishes no key, so other services cannot verify its tokens.
const (
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
	HS256 Algorithm = "HS256"
)

// ParseAlgorithm parses the name of an algorithm. Names are case-sensitive.
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case ES256, EdDSA, RS256, HS256:
		return a, nil
	}
	return "", fmt.Errorf("%q is not a signing algorithm: use ES256, EdDSA, RS256 or HS256", s)
}

// fits reports whether a is the algorithm of a key, and the key is strong (RFC 8725 section 3.1). For RSA it requires
// the common exponent 65537; with e = 1, every text would be its own signature.
func (a Algorithm) fits(public any) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return a == ES256 && p.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return a == EdDSA
	case *rsa.PublicKey:
		return a == RS256 && p.N.BitLen() >= 2048 && p.E == 65537
	case []byte:
		return a == HS256 && len(p) >= sha256.Size // RFC 7518 section 3.2
	}
	return false
}

// Type is the typ header of access tokens.
type Type string

const (
	// TypeAccess is the type of RFC 9068 section 2.1, which distinguishes access tokens from other JWTs.
	TypeAccess Type = "at+jwt"
	// TypeJWT is the only type that some resource servers accept by default, such as Spring Security and Nimbus.
	TypeJWT Type = "JWT"
)

// key is a signing key with the values derived from it. It is immutable.
type key struct {
	id        string
	algorithm Algorithm
	method    jwt.SigningMethod
	private   any // of the types that golang-jwt accepts; for HS256 both are the same bytes
	public    any
	headers   map[Type]string // the first segment of the key's tokens, by type
}

func generate(a Algorithm) (*key, error) {
	var private any
	var err error
	switch a {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case HS256:
		private = secret.Random(sha256.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("generate a signing key: %w", err)
	}
	return newKey(a, private)
}

func newKey(a Algorithm, private any) (*key, error) {
	public := private
	if signer, ok := private.(crypto.Signer); ok {
		public = signer.Public()
	}
	if !a.fits(public) {
		return nil, fmt.Errorf("not a key for %s", a)
	}
	id, err := thumbprint(public)
	if err != nil {
		return nil, err
	}
	k := &key{id: id, algorithm: a, method: a.method(), private: private, public: public, headers: map[Type]string{}}
	for _, typ := range []Type{TypeAccess, TypeJWT} {
		signing, err := k.unsigned(typ, nil).SigningString()
		if err != nil {
			return nil, fmt.Errorf("encode the header: %w", err)
		}
		k.headers[typ], _, _ = strings.Cut(signing, ".")
	}
	return k, nil
}

// unsigned returns an unsigned token of type typ.
func (k *key) unsigned(typ Type, claims jwt.MapClaims) *jwt.Token {
	t := jwt.NewWithClaims(k.method, claims)
	t.Header["typ"], t.Header["kid"] = string(typ), k.id
	return t
}

// thumbprint returns the key id (RFC 7638). A symmetric key consists of 256 random bits, so that its hash discloses
// nothing (section 7).
func thumbprint(public any) (string, error) {
	if symmetric, ok := public.([]byte); ok {
		sum := sha256.Sum256([]byte(`{"k":"` + base64.RawURLEncoding.EncodeToString(symmetric) + `","kty":"oct"}`))
		return base64.RawURLEncoding.EncodeToString(sum[:]), nil
	}
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// jwk returns the public key. It must not be called for HS256.
func (k *key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"}
}

// publicJWK returns the value of the column public_jwk.
func (k *key) publicJWK() (string, error) {
	if k.algorithm == HS256 {
		return "", nil
	}
	text, err := k.jwk().MarshalJSON()
	return string(text), err
}

// parsePublicJWK parses a published key. It refuses another use or algorithm, weak keys, certificates, and private
// keys, whose Go types fit no algorithm.
func parsePublicJWK(a Algorithm, text string) (*jose.JSONWebKey, error) {
	jwk := &jose.JSONWebKey{}
	if err := jwk.UnmarshalJSON([]byte(text)); err != nil {
		return nil, fmt.Errorf("public_jwk: %w", err)
	}
	switch {
	case jwk.Use != "sig" || jwk.Algorithm != string(a):
		return nil, fmt.Errorf("public_jwk is for use %q and algorithm %q", jwk.Use, jwk.Algorithm)
	case !a.fits(jwk.Key):
		return nil, fmt.Errorf("public_jwk is not a key for %s", a)
	case len(jwk.Certificates) > 0 || jwk.CertificatesURL != nil:
		return nil, errors.New("public_jwk contains a certificate")
	}
	return jwk, nil
}

// sealPurpose is the purpose of the key that seals private halves.
const sealPurpose = "signing keys"

// seal returns the value of the column sealed. The kid is its context, so that a value cannot move to another row.
func seal(kid string, plain []byte, s *secret.Secret) string {
	return base64.StdEncoding.EncodeToString(s.Seal(sealPurpose, plain, []byte(kid)))
}

// unseal decrypts the column sealed. It reports current if the current secret decrypted it.
func unseal(kid, sealed string, s *secret.Secret) (plain []byte, current bool, err error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, false, fmt.Errorf("sealed: %w", err)
	}
	return s.Unseal(sealPurpose, raw, []byte(kid))
}

// encode returns the private half to seal: PKCS #8, or the bytes of a symmetric key.
func (k *key) encode() ([]byte, error) {
	if symmetric, ok := k.private.([]byte); ok {
		return symmetric, nil
	}
	return x509.MarshalPKCS8PrivateKey(k.private)
}

// openKey returns the key of a row. It always decrypts the private half, even if only the public half is needed. That
// proves that a holder of the secret wrote the row: an attacker with write access to the database alone cannot add a
// key to sign forgeries with.
func openKey(row keyRow, s *secret.Secret) (*key, error) {
	algorithm, err := ParseAlgorithm(row.Algorithm)
	if err != nil {
		return nil, err
	}
	plain, _, err := unseal(row.KeyID, row.Sealed, s)
	if errors.Is(err, secret.ErrUnseal) {
		const advice = "give the --secret that this database was made with, or name it with --accept-secret too"
		return nil, fmt.Errorf("%w: %s", err, advice)
	}
	if err != nil {
		return nil, err
	}
	private := any(plain)
	if algorithm != HS256 {
		if private, err = x509.ParsePKCS8PrivateKey(plain); err != nil {
			return nil, fmt.Errorf("private key: %w", err)
		}
	}
	k, err := newKey(algorithm, private)
	if err != nil {
		return nil, err
	}
	if k.id != row.KeyID {
		return nil, errors.New("kid is not the thumbprint of the key")
	}
	return k, k.matches(row.PublicJWK)
}

// matches checks that the column public_jwk belongs to the key.
func (k *key) matches(publicJWK string) error {
	if k.algorithm == HS256 {
		return nil // nothing to publish
	}
	jwk, err := parsePublicJWK(k.algorithm, publicJWK)
	if err != nil {
		return err
	}
	id, err := thumbprint(jwk.Key)
	if err != nil {
		return err
	}
	if id != k.id || jwk.KeyID != k.id {
		return errors.New("kid is not the thumbprint of public_jwk")
	}
	return nil
}
