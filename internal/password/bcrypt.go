package password

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of bcrypt's cost. Above 16 one hash takes seconds; one of cost 31 would take a day.
const (
	MinBcryptCost = 4
	MaxBcryptCost = 16
)

// maxBcrypt is the number of bytes that bcrypt reads; it ignores the rest without an error.
const maxBcrypt = 72

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// parseBcrypt reads COST$ and 53 characters. The variants 2a, 2b and 2y are equivalent for passwords of up to 72
// bytes. $2x$ marks hashes of an old fault in PHP, with which different passwords match; it is refused.
func parseBcrypt(rest string) (*Hash, error) {
	hash, err := bcryptOf(rest)
	if err != nil {
		return nil, err
	}
	compare := hash.matches
	hash.matches = func(password []byte) bool { return compare(password) && len(password) <= maxBcrypt }
	return hash, nil
}

// parseDjangoBcrypt reads hashes of Django's BCryptSHA256PasswordHasher, after their algorithm.
func parseDjangoBcrypt(rest string) (*Hash, error) {
	hash, err := bcryptOf(rest)
	if err != nil {
		return nil, err
	}
	compare := hash.matches
	hash.matches = func(password []byte) bool {
		sum := sha256.Sum256(password)
		return compare(hex.AppendEncode(nil, sum[:]))
	}
	return hash, nil
}

func bcryptOf(rest string) (*Hash, error) {
	if len(rest) != 56 || rest[2] != '$' {
		return nil, errMalformed
	}
	cost, err := strconv.ParseUint(rest[:2], 10, 8)
	if err != nil {
		return nil, errMalformed
	}
	if cost < MinBcryptCost || cost > MaxBcryptCost {
		return nil, errBcrypt
	}
	encoding := base64.NewEncoding(bcryptAlphabet).WithPadding(base64.NoPadding)
	// Some generators set unused bits in the last character of the salt, which does no harm. In the last
	// character of the hash they match nothing.
	if _, err := encoding.DecodeString(rest[3:25]); err != nil {
		return nil, errMalformed
	}
	if _, err := encoding.Strict().DecodeString(rest[25:]); err != nil {
		return nil, errMalformed
	}
	stored := []byte("$2a$" + rest)
	return &Hash{Rounds: 1 << cost, matches: func(password []byte) bool {
		return bcrypt.CompareHashAndPassword(stored, password) == nil
	}}, nil
}
