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

// productName is refused as a password, in any case (NIST 800-63B-4 section 3.1.1.2: name of the service).
const productName = "graphwarden"

// Policy decides what may be set as a password. Login does not ask it: a password that was
// legal once stays usable.
type Policy struct {
	// MinLength is in code points; 0 means 8.
	MinLength int
}

// Check returns every problem of a new password for the account of email and username, either of
// which may be empty. Any composition is legal, NUL, emoji and blanks included: rules of composition
// make passwords easier to guess. No message repeats the password.
func (p Policy) Check(path, password, email, username string) []fault.Field {
	var fields []fault.Field
	add := func(reason fault.Reason, message string) {
		fields = append(fields, fault.Field{Path: path, Reason: reason, Message: message})
	}
	// JSON decoding puts U+FFFD in place of text that is not Unicode, so a password that holds it
	// would be matched by other passwords.
	if strings.ContainsRune(password, utf8.RuneError) {
		add(fault.PasswordInvalid, "the password holds text that is not valid Unicode")
	}
	password = norm.NFC.String(password)
	if least := cmp.Or(p.MinLength, 8); utf8.RuneCountInString(password) < least {
		add(fault.PasswordTooShort, fmt.Sprintf("the password needs at least %d characters", least))
	}
	if len(password) > maxPassword {
		add(fault.PasswordTooLong, fmt.Sprintf("the password is longer than %d bytes", maxPassword))
	} else if isGuessable(password, email, username) {
		add(fault.PasswordTooCommon, "the password is easy to guess: it is a common one, a plain sequence, or the account's own name")
	}
	return fields
}

// isGuessable reports what the first guesses of an attacker would hit.
func isGuessable(password, email, username string) bool {
	local, _, _ := strings.Cut(email, "@")
	for _, known := range []string{email, local, username, productName} {
		if known != "" && strings.EqualFold(password, norm.NFC.String(known)) {
			return true
		}
	}
	password = strings.ToLower(password)
	// Reading through 30,000 words takes far less than one hash, and needs no set kept in memory.
	return isSequence(password) || slices.Contains(frequency.FrequencyLists["passwords"], password)
}

// isSequence reports whether s is one repeated character, or characters that follow each other up or
// down, such as 12345678.
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

// canonical is the spelling of a password that is hashed: NFC, so that a keyboard composing é itself
// and one sending two code points log in alike. It is false for what no account can have.
func canonical(password string) (string, bool) {
	if !utf8.ValidString(password) {
		return "", false
	}
	password = norm.NFC.String(password)
	return password, len(password) <= maxPassword
}
