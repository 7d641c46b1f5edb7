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

// The algorithms that a ring can sign with. HS256 publishes no key: nobody else can verify its tokens.
const (
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
	HS256 Algorithm = "HS256"
)

// ParseAlgorithm accepts the four names in their exact spelling.
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case ES256, EdDSA, RS256, HS256:
		return a, nil
	}
	return "", fmt.Errorf("%q is not a signing algorithm: use ES256, EdDSA, RS256 or HS256", s)
}

// fits binds a key to one algorithm (RFC 8725 section 3.1) and refuses weak ones. The RSA exponent is
// the one that every generator writes; e = 1 would make any text its own signature.
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
	// TypeAccess is the type of RFC 9068 section 2.1. No other kind of JWT can be taken for it.
	TypeAccess Type = "at+jwt"
	// TypeJWT is for resource servers that accept no other type by default, such as Spring Security and Nimbus.
	TypeJWT Type = "JWT"
)

// key is one signing key with everything derived from it. It never changes.
type key struct {
	id        string
	algorithm Algorithm
	method    jwt.SigningMethod
	private   any // as golang-jwt takes them; for HS256 both are the same bytes
	public    any
	headers   map[Type]string // the first segment of every token of that type
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

// unsigned returns a token of type typ, ready for the key's signature.
func (k *key) unsigned(typ Type, claims jwt.MapClaims) *jwt.Token {
	t := jwt.NewWithClaims(k.method, claims)
	t.Header["typ"], t.Header["kid"] = string(typ), k.id
	return t
}

// thumbprint is the RFC 7638 name of a key. For a symmetric key it is a hash of 256 random bits, so
// it gives nothing away (section 7).
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

// jwk is what may be published of the key; not for HS256.
func (k *key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"}
}

// publicJWK is the text of the column public_jwk.
func (k *key) publicJWK() (string, error) {
	if k.algorithm == HS256 {
		return "", nil
	}
	text, err := k.jwk().MarshalJSON()
	return string(text), err
}

// parsePublicJWK refuses what has no place in a published key: another use or algorithm, a weak key,
// a certificate to confuse it with, and a private key, whose Go type fits no algorithm.
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
		return nil, errors.New("public_jwk names a certificate")
	}
	return jwk, nil
}

// sealPurpose names the key derived for the private halves.
const sealPurpose = "signing keys"

// seal returns the column sealed. The kid goes in as context, so that no row can pass for another.
func seal(kid string, plain []byte, s *secret.Secret) string {
	return base64.StdEncoding.EncodeToString(s.Seal(sealPurpose, plain, []byte(kid)))
}

// unseal opens the column sealed, and reports whether the current secret did.
func unseal(kid, sealed string, s *secret.Secret) (plain []byte, current bool, err error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, false, fmt.Errorf("sealed: %w", err)
	}
	return s.Unseal(sealPurpose, raw, []byte(kid))
}

// encode is what is sealed of the key: PKCS #8, or the bytes of a symmetric key.
func (k *key) encode() ([]byte, error) {
	if symmetric, ok := k.private.([]byte); ok {
		return symmetric, nil
	}
	return x509.MarshalPKCS8PrivateKey(k.private)
}

// openKey makes a key of its row. The private half is opened even where only the public one is
// needed: it proves that a holder of the secret wrote the row, so that write access to the database
// alone cannot add a key to verify forgeries with.
func openKey(row keyRow, s *secret.Secret) (*key, error) {
	algorithm, err := ParseAlgorithm(row.Algorithm)
	if err != nil {
		return nil, err
	}
	plain, _, err := unseal(row.KeyID, row.Sealed, s)
	if errors.Is(err, secret.ErrUnseal) {
		return nil, fmt.Errorf("%w: give the --secret that this database was made with, or name it with --accept-secret too", err)
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

// matches checks the column public_jwk against the key.
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
