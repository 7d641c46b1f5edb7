package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// The maximum lengths of an address and its local part (RFC 5321, section 4.5.3.1; RFC 3696, erratum 1690), and of a
// display name.
const (
	maxEmail = 254 // bytes
	maxLocal = 64  // bytes
	maxName  = 100 // code points
)

// Trim removes the padding that copying adds at either end of a text: blanks of any script, zero-width characters and
// writing direction marks. A joiner after a combining mark stays, because it changes how the last letter is written.
func Trim(s string) string {
	s = strings.TrimLeftFunc(s, isPadding)
	trimmed := strings.TrimRightFunc(s, isPadding)
	last, _ := utf8.DecodeLastRuneInString(trimmed)
	next, size := utf8.DecodeRuneInString(s[len(trimmed):])
	if unicode.Is(unicode.M, last) && (next == '\u200C' || next == '\u200D') {
		return s[:len(trimmed)+size]
	}
	return trimmed
}

// isPadding reports whether r is a blank, or an invisible format character without a meaning at the end of a text. Tag
// characters and variation selectors are excluded because emoji end with them, and the right-to-left override (U+202E)
// because no program adds it.
func isPadding(r rune) bool {
	switch {
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r):
		return true
	case '\u200B' <= r && r <= '\u200F', '\u202A' <= r && r <= '\u202D', '\u2060' <= r && r <= '\u206F':
		return true
	}
	return strings.ContainsRune("\u00AD\u061C\u180E\uFEFF", r)
}

// Email is an address in two spellings. Mail is sent only to Address. A message to Key could reach another mailbox,
// because the part before the @ may be case-sensitive (RFC 5321, section 2.4).
type Email struct {
	// Address is the trimmed input.
	Address string
	// Key is in lower case, with the domain in ASCII. It is unique, and accounts are looked up by it.
	Key string
}

// ParseEmail checks an address. It refuses compatibility characters (NFKC) and invisible characters instead of mapping
// them: a mapped look-alike would reach the account that it resembles, and an invisible character would make two
// accounts look like one.
//
// The syntax is that of <input type=email>: no quotes, comments or address literals, but domains of a single label and
// dots anywhere before the @, because Japanese carriers issued such addresses. ParseEmail also accepts international
// addresses (RFC 6531) and underscores in the domain, which some mail hosts have.
func ParseEmail(path, s string) (Email, []fault.Field) {
	s = Trim(s)
	refuse := func(reason fault.Reason, message string) (Email, []fault.Field) {
		return Email{}, []fault.Field{{Path: path, Reason: reason, Message: message}}
	}
	if s == "" {
		return refuse(fault.Required, "an e-mail address is required")
	}
	if !fitsEmail(s) {
		return refuse(fault.TooLong, "the e-mail address is too long")
	}
	local, domain, _ := strings.Cut(s, "@")
	local, localOK := localKey(local)
	domain, domainOK := domainKey(domain)
	key := local + "@" + domain
	if !localOK || !domainOK || !fitsEmail(key) {
		return refuse(fault.EmailInvalid, "this is not an e-mail address that can be used here")
	}
	return Email{Address: s, Key: key}, nil
}

// EmailKey returns the key by which to look up an account, and false if no account can have that address.
func EmailKey(s string) (string, bool) {
	e, problems := ParseEmail("", s)
	return e.Key, problems == nil
}

func fitsEmail(s string) bool {
	return len(s) <= maxEmail && strings.IndexByte(s, '@') <= maxLocal
}

// localKey returns the folded part before the @, and false if ParseEmail refuses it.
func localKey(local string) (string, bool) {
	folded := fold(local)
	usable := func(s string) bool {
		return norm.NFKC.IsNormalString(s) && !strings.ContainsFunc(s, isDeceptive) &&
			!strings.ContainsAny(s, ` "(),:;<>@[\]`)
	}
	return folded, local != "" && usable(local) && usable(folded)
}

// fold lower-cases s and then applies NFKC, because a lower-case letter may be composed (J with caron). Without NFKC,
// folding a key would change it.
func fold(s string) string { return norm.NFKC.String(strings.ToLower(s)) }

// domains maps domains as browsers do (UTS #46, nontransitional). It accepts all of ASCII, which isNotOfDomain narrows.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false),
	idna.VerifyDNSLength(true))

// domainKey returns the domain in ASCII, which is the same for all spellings, and false if ParseEmail refuses it. It
// checks the Unicode spelling even if the domain is given in ASCII.
func domainKey(domain string) (string, bool) {
	if !norm.NFKC.IsNormalString(domain) || strings.ContainsFunc(domain, isNotOfDomain) {
		return "", false
	}
	folded := fold(domain)
	ascii, err := domains.ToASCII(folded)
	if err != nil {
		return "", false
	}
	inUnicode, err := domains.ToUnicode(ascii)
	if err != nil || strings.ContainsFunc(inUnicode, isNotOfDomain) {
		return "", false
	}
	given, labels := strings.Split(folded, "."), strings.Split(inUnicode, ".")
	if len(given) != len(labels) {
		return "", false
	}
	for i, label := range labels {
		// UTS #46 maps more than case: U+1C82 becomes a Cyrillic o.
		mapped := given[i] != strings.ToLower(label) && !strings.HasPrefix(given[i], "xn--")
		if mapped || label == "" || strings.Trim(label, "-") != label {
			return "", false
		}
	}
	return ascii, true
}

// otherSpellings returns the spellings of an address with its domain in ASCII and in Unicode, without address itself.
func otherSpellings(address string) (others []string) {
	local, domain, _ := strings.Cut(address, "@")
	ascii, ok := domainKey(domain)
	if !ok || ascii == domain && !strings.Contains(domain, "xn--") {
		return nil
	}
	inUnicode, _ := domains.ToUnicode(ascii)
	for _, spelling := range []string{ascii, inUnicode} {
		if spelling != domain {
			others = append(others, local+"@"+spelling)
		}
	}
	return others
}

// isNotOfDomain reports whether a domain must not contain r. Punctuation is refused except for the signs of RFC 5892,
// appendix A: IDNA reads U+3002 as a dot, and other signs look like the end of the domain. IDNA checks the context of
// joiners.
func isNotOfDomain(r rune) bool {
	switch {
	case strings.ContainsRune("-_.\u00B7\u0375\u05F3\u05F4\u200C\u200D\u30FB", r):
		return false
	case unicode.In(r, unicode.L, unicode.M, unicode.Nd):
		return isDeceptive(r)
	}
	return r <= unicode.MaxASCII || !unicode.Is(unicode.So, r) || isDeceptive(r)
}

// isDeceptive reports whether r can make two addresses look or compare equal.
func isDeceptive(r rune) bool {
	switch {
	case !unicode.IsPrint(r): // control, format, bidi, tags, private use, unassigned, blanks except U+0020
		return true
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return true
	case r > unicode.MaxASCII && unicode.ToLower(r) <= unicode.MaxASCII: // İ becomes an ASCII i
		return true
	}
	// Blanks and fillers that Unicode classifies as visible, and the two replacement characters. Here U+FFFD also stands
	// for invalid UTF-8.
	return strings.ContainsRune("\u2800\U00013441\U00013442\U00016FE4\U0001D159\uFFFC\uFFFD", r)
}

// ParseUsername accepts [a-z0-9._-]{3,32}: a single alphabet without case, so that no two usernames look alike.
func ParseUsername(path, s string) (string, []fault.Field) {
	s = Trim(s)
	if !isUsername(s) {
		return "", []fault.Field{{Path: path, Reason: fault.UsernameInvalid,
			Message: "a username has 3 to 32 characters out of a-z, 0-9, dot, underscore and hyphen"}}
	}
	return s, nil
}

// UsernameKey returns the username by which to look up an account, and false if no account can have it. It lower-cases
// only ASCII, because strings.ToLower maps the Kelvin sign to k.
func UsernameKey(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, Trim(s))
	return s, isUsername(s)
}

func isUsername(s string) bool {
	return 3 <= len(s) && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// ParseName checks a display name, which may be empty. Names are displayed but not compared. So joiners and variation
// selectors are allowed, which many scripts and emoji need, but not characters that break or reverse a line.
func ParseName(path, s string) (string, []fault.Field) {
	s = Trim(s)
	var fields []fault.Field
	if utf8.RuneCountInString(s) > maxName {
		fields = append(fields, fault.Field{Path: path, Reason: fault.TooLong,
			Message: "the name is longer than 100 characters"})
	}
	if strings.ContainsFunc(s, breaksLine) {
		fields = append(fields, fault.Field{Path: path, Reason: fault.NameInvalid,
			Message: "the name contains characters that cannot be displayed safely"})
	}
	if fields != nil {
		return "", fields
	}
	return s, nil
}

// maxLocale is the maximum length of a locale in bytes.
const maxLocale = 35

// ParseLocale checks a language tag (BCP 47), such as de-AT, and returns its canonical form.
func ParseLocale(path, s string) (string, []fault.Field) {
	if len(s) <= maxLocale {
		if tag, err := language.Parse(s); err == nil && tag != language.Und {
			return tag.String(), nil
		}
	}
	return "", []fault.Field{{Path: path, Reason: fault.Malformed,
		Message: "this is not a language tag, such as en or de-AT"}}
}

// breaksLine reports whether r is a control character, a line or paragraph separator, a character that embeds,
// overrides or isolates a writing direction (UAX #9), or U+FFFD, which stands for invalid UTF-8.
func breaksLine(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || r == utf8.RuneError ||
		'\u202A' <= r && r <= '\u202E' || '\u2066' <= r && r <= '\u2069'
}
