package password

import (
	"crypto/subtle"
	"errors"
	"strings"
	"unicode/utf8"
)

// The bounds of a hash. A comparison takes at most as long as bcrypt with cost 16, which is seconds.
const (
	maxRounds   = 1 << 16
	maxMemory   = 128 << 20 // bytes
	maxText     = 1024      // bytes
	maxPassword = 1024      // bytes, in NFC; longer passwords are refused, and match nothing
	minSum      = 16        // bytes; a shorter sum could match by chance
	maxPart     = 128       // bytes of a sum or a salt
)

// The reasons to refuse a hash.
var (
	errUnknown   = errors.New("not a password hash in a supported format of bcrypt, Argon2, scrypt or PBKDF2")
	errMalformed = errors.New("the password hash is damaged, or has unknown parameters")
	errBcrypt    = errors.New("the cost of the bcrypt hash is not between 4 and 16")
	errCost      = errors.New("the password hash takes longer to verify than bcrypt with cost 16")
	errMemory    = errors.New("the password hash takes more than 128 MiB of memory to verify")
)

// Hash is a parsed password hash.
type Hash struct {
	// Rounds is the cost of Matches in bcrypt rounds: 2^cost for bcrypt, for other schemes an estimate, measured on an
	// x86-64 server.
	Rounds uint64
	// Memory is the memory that Matches allocates, in bytes; 0 for bcrypt and PBKDF2.
	Memory uint64

	matches func(password []byte) bool
}

// scheme is a hash format, which its prefix identifies.
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

// wrappers are prefixes before a hash that is complete without them.
var wrappers = []string{
	"{bcrypt}", "{argon2}", "{argon2@springsecurity_v5_2}", "{argon2@springsecurity_v5_8}", // Spring Security
	"{crypt}", "{blf-crypt}", "{argon2i}", "{argon2id}", // LDAP, Dovecot
	"bcrypt$", "argon2", // Django
}

// Parse parses a hash. Its errors are messages for the operator who imports it.
func Parse(text string) (*Hash, error) {
	if len(text) > maxText {
		return nil, errUnknown
	}
	for i := range len(text) { // check here, because base64 decoders skip line breaks
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

// cutPrefix is strings.CutPrefix, but case-insensitive for a prefix in braces, as in LDAP.
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

// Matches reports whether a password matches the hash. The password must be as the user sent it. A password with NUL
// never matches, because for PBKDF2, scrypt and bcrypt P equals P+NUL or P+NUL+P.
func (h *Hash) Matches(password []byte) bool {
	if len(password) > maxPassword || !utf8.Valid(password) || strings.Contains(string(password), "\x00") {
		h.matches(nil) // a refusal must take as long as a comparison
		return false
	}
	return h.matches(password)
}

// bounded returns a Hash that compares sum with the result of derive. It refuses costs and lengths beyond the bounds.
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
