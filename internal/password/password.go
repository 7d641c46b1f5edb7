// Package password reads the password hashes of other systems and compares passwords with them: bcrypt,
// Argon2, scrypt and PBKDF2 in the forms in which well-known frameworks write them.
//
// It promises that the cost of a comparison is known and bounded before anything is computed, that a
// malformed hash matches nothing, and that no error repeats any part of a hash. It does not know accounts,
// databases, or how hashes are made here.
package password

import (
	"crypto/subtle"
	"errors"
	"strings"
	"unicode/utf8"
)

// The bounds of a hash. A comparison takes no longer than bcrypt of cost 16, which is seconds.
const (
	maxRounds   = 1 << 16
	maxMemory   = 128 << 20 // bytes
	maxText     = 1024      // bytes
	maxPassword = 1024      // bytes; what is longer matches nothing
	minSum      = 16        // bytes; less would be matched by chance
	maxPart     = 128       // bytes of a sum or a salt
)

// The reasons to refuse a hash.
var (
	errUnknown   = errors.New("not a password hash in a form of bcrypt, Argon2, scrypt or PBKDF2 that can be verified")
	errMalformed = errors.New("the password hash is damaged, or has parameters that its form does not have")
	errBcrypt    = errors.New("the cost of the bcrypt hash is not from 4 to 16")
	errCost      = errors.New("the password hash takes longer to verify than bcrypt of cost 16")
	errMemory    = errors.New("the password hash takes more than 128 MiB of memory to verify")
)

// Hash is a parsed password hash.
type Hash struct {
	// Rounds is what Matches costs in rounds of bcrypt, 2^cost for bcrypt itself. For other schemes it is an
	// estimate, from measurements on common processors.
	Rounds uint64
	// Memory is what Matches needs, in bytes; 0 for schemes that need next to none.
	Memory uint64

	matches func(password []byte) bool
}

// scheme is a form of hash, recognised by how it starts.
type scheme struct {
	prefix string
	parse  func(rest string) (*Hash, error)
}

func schemes() []scheme {
	return []scheme{
		{"$2a$", parseBcrypt},
		{"$2b$", parseBcrypt},
		{"$2y$", parseBcrypt},
		{"bcrypt_sha256$$2b$", parseDjangoBcrypt},
		{"$argon2id$", parseArgon2id},
		{"$argon2i$", parseArgon2i},
		{"$scrypt$", parsePHCScrypt},
		{"scrypt$", parseDjangoScrypt},
		{"scrypt:", parseWerkzeugScrypt},
		{"$fbscrypt$", parseFirebase},
		{"pbkdf2_sha1$", djangoPBKDF2(sha1Sum)},
		{"pbkdf2_sha256$", djangoPBKDF2(sha256Sum)},
		{"pbkdf2:sha1:", werkzeugPBKDF2(sha1Sum)},
		{"pbkdf2:sha256:", werkzeugPBKDF2(sha256Sum)},
		{"pbkdf2:sha512:", werkzeugPBKDF2(sha512Sum)},
		{"$pbkdf2$", phcPBKDF2(sha1Sum)},
		{"$pbkdf2-sha1$", phcPBKDF2(sha1Sum)},
		{"$pbkdf2-sha256$", phcPBKDF2(sha256Sum)},
		{"$pbkdf2-sha512$", phcPBKDF2(sha512Sum)},
		{"{pbkdf2}", phcPBKDF2(sha1Sum)},
		{"{pbkdf2-sha256}", phcPBKDF2(sha256Sum)},
		{"{pbkdf2-sha512}", phcPBKDF2(sha512Sum)},
		{"", parseIdentity},
	}
}

// wrappers stand before a hash that says for itself what it is.
var wrappers = []string{
	"{bcrypt}", "{argon2}", "{argon2@springsecurity_v5_2}", "{argon2@springsecurity_v5_8}", // Spring Security
	"{crypt}", "{blf-crypt}", "{argon2i}", "{argon2id}", // LDAP, Dovecot
	"bcrypt$", "argon2", // Django
}

// Parse reads a hash. Its errors are made for the person who imports it.
func Parse(text string) (*Hash, error) {
	if len(text) > maxText {
		return nil, errUnknown
	}
	for i := range len(text) { // base64 decoders skip line breaks
		if text[i] <= ' ' || text[i] > '~' {
			return nil, errUnknown
		}
	}
	for _, wrapper := range wrappers {
		if rest, wrapped := cutPrefix(text, wrapper); wrapped && strings.HasPrefix(rest, "$") {
			text = rest
			break
		}
	}
	for _, s := range schemes() {
		if rest, found := cutPrefix(text, s.prefix); found {
			return s.parse(rest)
		}
	}
	return nil, errUnknown
}

// cutPrefix ignores case in braces, as LDAP does.
func cutPrefix(text, prefix string) (string, bool) {
	if len(text) < len(prefix) {
		return "", false
	}
	start := text[:len(prefix)]
	if strings.HasPrefix(prefix, "{") {
		start = strings.ToLower(start)
	}
	return text[len(prefix):], start == prefix
}

// Matches reports whether a password, as its owner sent it, is the one of the hash. A password with NUL
// matches nothing: PBKDF2, scrypt and bcrypt take P and P+NUL, or P+NUL+P, for one.
func (h *Hash) Matches(password []byte) bool {
	if len(password) > maxPassword || !utf8.Valid(password) || strings.Contains(string(password), "\x00") {
		h.matches(nil) // it must take as long as any other
		return false
	}
	return h.matches(password)
}

// bounded finishes a hash, of which derive makes the sum, or refuses it.
func bounded(rounds, memory uint64, salt, sum []byte, derive func(password []byte) []byte) (*Hash, error) {
	switch {
	case len(sum) < minSum, len(sum) > maxPart, len(salt) > maxPart:
		return nil, errMalformed
	case memory > maxMemory:
		return nil, errMemory
	case rounds > maxRounds:
		return nil, errCost
	}
	return &Hash{Rounds: rounds, Memory: memory, matches: func(password []byte) bool {
		return subtle.ConstantTimeCompare(derive(password), sum) == 1
	}}, nil
}
