package token

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// method returns golang-jwt's signing method, or lowS for ES256.
func (a Algorithm) method() jwt.SigningMethod {
	if a == ES256 {
		return lowS{jwt.SigningMethodES256}
	}
	return jwt.GetSigningMethod(string(a))
}

// lowS is ES256 restricted to low-S signatures. ECDSA signatures are malleable: if (r, s) is valid, so is (r, n-s),
// which needs no key to compute. Such a copy of a token would bypass a deny list that compares tokens byte by byte.
type lowS struct{ *jwt.SigningMethodECDSA }

// Sign returns the low-S form.
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

// Verify rejects high-S signatures.
func (m lowS) Verify(text string, signature []byte, key any) error {
	if isHigh(signature[len(signature)/2:]) {
		return errors.New("the signature is not in low-S form")
	}
	return m.SigningMethodECDSA.Verify(text, signature, key)
}

// isHigh reports whether s, 32 bytes long, is above n/2.
func isHigh(s []byte) bool {
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1).FillBytes(make([]byte, 32))
	return bytes.Compare(s, half) > 0
}
