package password

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"golang.org/x/crypto/bcrypt"
)

// The bounds of the bcrypt cost. With cost 16 a hash takes seconds, with cost 31 a day.
const (
	MinBcryptCost = 4
	MaxBcryptCost = 16
)

// maxBcrypt is the number of bytes that bcrypt reads. It silently ignores the rest.
const maxBcrypt = 72

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// parseBcrypt parses COST$ and 53 characters. The variants 2a, 2b and 2y are equivalent for passwords of up to 72
// bytes. It refuses $2x$, the mark of an old bug in PHP that makes several passwords match one hash.
func parseBcrypt(rest string) (*Hash, error) {
	hash, err := bcryptOf(rest)
	if err != nil {
		return nil, err
	}
	compare := hash.matches
	hash.matches = func(password []byte) bool { return compare(password) && len(password) <= maxBcrypt }
	return hash, nil
}

// parseDjangoBcrypt parses a hash of Django's BCryptSHA256PasswordHasher without its prefix.
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
	// Unused bits in the last character of the salt are harmless, and some generators set them. With unused bits in the
	// last character of the hash, no password matches.
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
