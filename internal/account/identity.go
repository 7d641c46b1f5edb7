package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Bytes of a whole address and of its local part (RFC 5321 section 4.5.3.1, RFC 3696 erratum 1690),
// of a domain label (RFC 1035 section 2.3.4), and code points of a display name.
const (
	maxEmail = 254
	maxLocal = 64
	maxLabel = 63
	maxName  = 100
)

const asciiBlanks = " \t\r\n\v\f"

// Email is an address in two spellings. Mail only ever goes to Address: a message sent to Key could
// reach somebody else, since the part before the @ may be case-sensitive (RFC 5321 section 2.4).
type Email struct {
	// Address is as its owner wrote it, without blanks around.
	Address string
	// Key is lower case, and what accounts are unique by and looked up by.
	Key string
}

// ParseEmail checks an address. It refuses, rather than maps, what Unicode holds to be another
// spelling of something else (NFKC) and what cannot be seen: a mapped look-alike would reach the
// account it looks like, and an invisible character would hide a second account beside it.
func ParseEmail(path, s string) (Email, []fault.Field) {
	s = strings.Trim(s, asciiBlanks)
	refuse := func(reason fault.Reason, message string) (Email, []fault.Field) {
		return Email{}, []fault.Field{{Path: path, Reason: reason, Message: message}}
	}
	if s == "" {
		return refuse(fault.Required, "an e-mail address is required")
	}
	if !fitsEmail(s) {
		return refuse(fault.TooLong, "the e-mail address is too long")
	}
	// J with caron has two code points, its lower case may be one: without NFKC the key of a key
	// would be another.
	key := norm.NFKC.String(strings.ToLower(s))
	if !fitsEmail(key) || !isEmail(s) || !isEmail(key) {
		return refuse(fault.EmailInvalid, "this is not an e-mail address that can be used here")
	}
	return Email{Address: s, Key: key}, nil
}

// EmailKey is the key to look an account up by; false where no account can have that address.
func EmailKey(s string) (string, bool) {
	e, problems := ParseEmail("", s)
	return e.Key, problems == nil
}

func fitsEmail(s string) bool {
	return len(s) <= maxEmail && strings.IndexByte(s, '@') <= maxLocal
}

func isEmail(s string) bool {
	if !norm.NFKC.IsNormalString(s) || strings.ContainsFunc(s, isDeceptive) {
		return false
	}
	// The parser accepts display names, comments and quotes too, but does not give them back.
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s {
		return false
	}
	_, domain, _ := strings.Cut(s, "@")
	for label := range strings.SplitSeq(domain, ".") {
		if len(label) > maxLabel || strings.Trim(label, "-") != label || strings.ContainsFunc(label, isNotOfDomain) {
			return false
		}
	}
	return true
}

// isNotOfDomain keeps punctuation out of labels: IDNA reads U+3002 as a dot.
func isNotOfDomain(r rune) bool {
	return r != '-' && !unicode.In(r, unicode.L, unicode.M, unicode.Nd)
}

// isDeceptive reports characters that make two addresses look, or compare, like one.
func isDeceptive(r rune) bool {
	switch {
	case !unicode.IsPrint(r): // control, format, bidi, tags, private use, unassigned, blanks but U+0020
		return true
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return true
	case r > unicode.MaxASCII && unicode.ToLower(r) <= unicode.MaxASCII: // İ would become a plain i
		return true
	}
	// Blank signs and fillers of scripts that Unicode counts as visible, and the two replacement
	// characters; U+FFFD also stands for invalid UTF-8 here.
	return strings.ContainsRune("\u2800\U00013441\U00013442\U00016FE4\U0001D159\uFFFC\uFFFD", r)
}

// ParseUsername accepts [a-z0-9._-]{3,32}: one alphabet without case, so that no two look alike.
func ParseUsername(path, s string) (string, []fault.Field) {
	if !isUsername(s) {
		return "", []fault.Field{{Path: path, Reason: fault.UsernameInvalid,
			Message: "a username has 3 to 32 characters out of a-z, 0-9, dot, underscore and hyphen"}}
	}
	return s, nil
}

// UsernameKey is the username to look an account up by; false where no account can have it. Only
// ASCII is lower-cased: strings.ToLower makes k of the Kelvin sign.
func UsernameKey(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
	return s, isUsername(s)
}

func isUsername(s string) bool {
	return 3 <= len(s) && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// ParseName checks a display name, which may be empty. It is shown and never compared, so joiners and
// variation selectors, which many scripts and emoji need, are fine; what would break or turn around
// the line that shows it is not.
func ParseName(path, s string) (string, []fault.Field) {
	s = strings.TrimSpace(s)
	var fields []fault.Field
	if utf8.RuneCountInString(s) > maxName {
		fields = append(fields, fault.Field{Path: path, Reason: fault.TooLong, Message: "the name is longer than 100 characters"})
	}
	if strings.ContainsFunc(s, breaksLine) {
		fields = append(fields, fault.Field{Path: path, Reason: fault.NameInvalid, Message: "the name holds characters that cannot be shown safely"})
	}
	if fields != nil {
		return "", fields
	}
	return s, nil
}

// breaksLine reports control characters, line and paragraph separators, the characters that embed,
// override or isolate a writing direction (UAX #9), and U+FFFD, which stands for invalid UTF-8.
func breaksLine(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || r == utf8.RuneError ||
		'\u202A' <= r && r <= '\u202E' || '\u2066' <= r && r <= '\u2069'
}
