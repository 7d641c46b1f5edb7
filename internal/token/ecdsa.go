package token

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// method is golang-jwt's, but for ES256.
func (a Algorithm) method() jwt.SigningMethod {
	if a == ES256 {
		return lowS{jwt.SigningMethodES256}
	}
	return jwt.GetSigningMethod(string(a))
}

// lowS is ES256 with one signature for a text and a nonce where the standard knows two: whoever has (r, s) makes
// (r, n-s) of it without the key, another token that says the same. Whatever goes by the bytes of a token, such as
// a deny list in a proxy, would take it for one never seen.
type lowS struct{ *jwt.SigningMethodECDSA }

// Sign writes the lower of the two.
func (m lowS) Sign(text string, key any) ([]byte, error) {
	signature, err := m.SigningMethodECDSA.Sign(text, key)
	if err != nil {
		return nil, err
	}
	half := len(signature) / 2
	if s := signature[half:]; isHigh(s) {
		new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(s)).FillBytes(s)
	}
	return signature, nil
}

// Verify refuses the higher.
func (m lowS) Verify(text string, signature []byte, key any) error {
	if isHigh(signature[len(signature)/2:]) {
		return errors.New("the signature is not the lower of the two")
	}
	return m.SigningMethodECDSA.Verify(text, signature, key)
}

// isHigh reports whether s, of 32 bytes, is above n/2.
func isHigh(s []byte) bool {
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1).FillBytes(make([]byte, 32))
	return bytes.Compare(s, half) > 0
}
