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

// MinLength is the minimum length of a secret, in bytes (RFC 8725 section 3.5).
const MinLength = 32

// ErrUnseal means that no accepted secret decrypts a sealed value.
var ErrUnseal = errors.New("sealed with another secret")

// Secret is the current secret and the other accepted ones. Rotation takes two deployments: the first accepts the new
// secret everywhere, the second makes it current.
type Secret struct {
	all []string // the current one first
}

// Trim removes white space around a secret, because files end in a line break. White space inside belongs to the
// secret.
func Trim(text string) string { return strings.TrimSpace(text) }

// New trims the secrets and refuses those shorter than MinLength. It also accepts the untrimmed secrets, which earlier
// versions used.
func New(current string, accepted ...string) (*Secret, error) {
	s := &Secret{}
	var untrimmed []string
	for _, text := range append([]string{current}, accepted...) {
		one := Trim(text)
		if len(one) < MinLength {
			return nil, fmt.Errorf("a secret needs at least %d bytes, but this one has %d", MinLength, len(one))
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
		panic(err) // unreachable: 32 bytes are within HKDF's maximum
	}
	return key
}

// Seal encrypts plaintext under the current key for purpose (AES-256-GCM, prefixed with a random nonce). It also
// authenticates the context, so that a sealed value copied to another row does not decrypt.
func (s *Secret) Seal(purpose string, plaintext, context []byte) []byte {
	// A random 96-bit nonce is safe for 2^32 values per key, which is more than the mails of a deployment.
	return aead(s.Key(purpose)).Seal(nil, nil, plaintext, context)
}

// Unseal decrypts the output of Seal under any accepted secret; the error is ErrUnseal. It reports current if the
// current secret decrypted the value; otherwise the caller should seal the value again.
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
		panic(err) // unreachable: the key has 32 bytes
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // unreachable: AES has blocks of 16 bytes
	}
	return gcm
}

// Random returns n bytes from the operating system's generator.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never returns an error: crypto/rand crashes the program instead
	return b
}

// String keeps the secret out of fmt.
func (*Secret) String() string { return "[secret]" }

// GoString keeps the secret out of %#v.
func (*Secret) GoString() string { return "[secret]" }

// LogValue keeps the secret out of slog.
func (*Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }
