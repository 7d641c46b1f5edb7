package password

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn/frequency"
	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// productName is refused as a password, case-insensitively (NIST SP 800-63B-4 section 3.1.1.2, name of the service).
const productName = "graphwarden"

// Policy checks new passwords. It does not apply at login, so that existing passwords remain valid.
type Policy struct {
	// MinLength is the minimum length in code points; 0 means 8.
	MinLength int
	// Breached are further passwords to refuse. It may be nil.
	Breached *Breached
}

// Least returns the minimum length of a password in code points.
func (p Policy) Least() int { return cmp.Or(p.MinLength, 8) }

// Check returns all problems of a new password. email and username are those of the account, or empty. It accepts any
// characters, including NUL, emoji and spaces: composition rules make passwords easier to guess. No message contains
// the password.
func (p Policy) Check(path, password, email, username string) []fault.Field {
	var fields []fault.Field
	add := func(reason fault.Reason, message string) {
		fields = append(fields, fault.Field{Path: path, Reason: reason, Message: message})
	}
	// JSON decoding replaces invalid Unicode by U+FFFD, so that several passwords would match one with U+FFFD.
	if strings.ContainsRune(password, utf8.RuneError) {
		add(fault.PasswordInvalid, "the password is not valid Unicode")
	}
	password = norm.NFC.String(password)
	if least := p.Least(); utf8.RuneCountInString(password) < least {
		add(fault.PasswordTooShort, fmt.Sprintf("the password needs at least %d characters", least))
	}
	if len(password) > maxPassword {
		add(fault.PasswordTooLong, fmt.Sprintf("the password is longer than %d bytes", maxPassword))
	} else if isGuessable(password, email, username) {
		add(fault.PasswordTooCommon, "the password is easy to guess: it is common, a sequence, or a name of the account")
	}
	if len(fields) == 0 && p.Breached.Contains(password) { // the solution of another problem changes the password anyway
		add(fault.PasswordBreached,
			"the password is known from a breach of another system: choose one that you use nowhere else")
	}
	return fields
}

// isGuessable reports whether an attacker would guess the password among the first.
func isGuessable(password, email, username string) bool {
	local, _, _ := strings.Cut(email, "@")
	for _, known := range []string{email, local, username, productName} {
		if known != "" && strings.EqualFold(password, norm.NFC.String(known)) {
			return true
		}
	}
	password = strings.ToLower(password)
	// A linear search of 30,000 words is much faster than one hash, and needs no set in memory.
	return isSequence(password) || slices.Contains(frequency.FrequencyLists["passwords"], password)
}

// isSequence reports whether s is one repeated character, or consecutive characters up or down, such as 12345678.
func isSequence(s string) bool {
	runes := []rune(s)
	if len(runes) < 2 {
		return false
	}
	step := runes[1] - runes[0]
	for i := 2; i < len(runes); i++ {
		if runes[i]-runes[i-1] != step {
			return false
		}
	}
	return -1 <= step && step <= 1
}

// canonical returns a password in NFC, the form that is hashed, because some keyboards send é as two code points. It
// reports false for a password that no account can have.
func canonical(password string) (string, bool) {
	if !utf8.ValidString(password) {
		return "", false
	}
	password = norm.NFC.String(password)
	return password, len(password) <= maxPassword
}
