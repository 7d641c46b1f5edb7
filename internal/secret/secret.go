// Package secret owns the deployment's one secret and every key derived from it. It promises that
// two purposes never share a key, and that no value of it prints itself.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// MinLength is the least length of a secret, in bytes (RFC 8725 section 3.5).
const MinLength = 32

// ErrUnseal means that no accepted secret opens a sealed value.
var ErrUnseal = errors.New("sealed with another secret")

// Secret is the current secret and those still, or already, accepted beside it. Replacing one takes
// two deployments: first accept the new one everywhere, then make it current.
type Secret struct {
	all []string // the current one first
}

// Trim returns the secret in a text: white space around it is not part of it, since a file, and what is made from one,
// ends in a line break. White space inside it is.
func Trim(text string) string { return strings.TrimSpace(text) }

// New trims the secrets and refuses those shorter than MinLength. What earlier versions did with a secret that they
// did not trim is accepted besides.
func New(current string, accepted ...string) (*Secret, error) {
	s := &Secret{}
	var untrimmed []string
	for _, text := range append([]string{current}, accepted...) {
		one := Trim(text)
		if len(one) < MinLength {
			return nil, fmt.Errorf("a secret needs at least %d bytes, this one has %d", MinLength, len(one))
		}
		s.all = append(s.all, one)
		if one != text {
			untrimmed = append(untrimmed, text)
		}
	}
	s.all = append(s.all, untrimmed...)
	return s, nil
}

// Key derives the current 256-bit key for a purpose (HKDF-SHA-256, RFC 5869).
func (s *Secret) Key(purpose string) []byte { return derive(s.all[0], purpose) }

// Keys derives the key of every accepted secret for a purpose, the current one first.
func (s *Secret) Keys(purpose string) [][]byte {
	keys := make([][]byte, len(s.all))
	for i, one := range s.all {
		keys[i] = derive(one, purpose)
	}
	return keys
}

func derive(secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "graphwarden "+purpose, 32)
	if err != nil {
		panic(err) // only for a length HKDF cannot give; 32 is none
	}
	return key
}

// Seal encrypts plaintext under the current key for purpose (AES-256-GCM, random nonce in front).
// The context is authenticated with it, so that a sealed value moved to another row does not open.
func (s *Secret) Seal(purpose string, plaintext, context []byte) []byte {
	// A random nonce of 96 bits is safe for 2^32 seals under one key; this product seals a few keys a year.
	return aead(s.Key(purpose)).Seal(nil, nil, plaintext, context)
}

// Unseal opens what Seal made under any accepted secret, else ErrUnseal. The second result reports
// whether the current secret opened it; a value that it did not is due to be sealed again.
func (s *Secret) Unseal(purpose string, sealed, context []byte) (plaintext []byte, current bool, err error) {
	for i, key := range s.Keys(purpose) {
		if plaintext, err := aead(key).Open(nil, nil, sealed, context); err == nil {
			return plaintext, i == 0, nil
		}
	}
	return nil, false, ErrUnseal
}

func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key that is not 32 bytes
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block size that is not 16
	}
	return gcm
}

// Random returns n bytes from the operating system's generator.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// String keeps the secret out of fmt.
func (*Secret) String() string { return "[secret]" }

// GoString keeps the secret out of %#v.
func (*Secret) GoString() string { return "[secret]" }

// LogValue keeps the secret out of slog.
func (*Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }
