package mail

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxAddress is the maximum length of an address in bytes (RFC 5321 section 4.5.3.1, RFC 3696 erratum 1690).
const maxAddress = 254

var errAddress = errors.New("the address of the recipient is invalid")

// domains maps domains as package account does.
var domains = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false))

// envelope returns the address for SMTP, with its domain in ASCII. Only an address whose part before the @ is not ASCII
// needs SMTPUTF8 (RFC 6531). Package account has parsed the address; envelope checks it again, because a line break in
// it would be an SMTP command or a header.
func envelope(address string) (ascii string, needsUTF8 bool, err error) {
	unsafe := func(r rune) bool {
		return r <= ' ' || r == utf8.RuneError || unicode.IsControl(r) || strings.ContainsRune("\"(),:;<>[\\]\u2028\u2029", r)
	}
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" || strings.ContainsFunc(address, unsafe) || strings.Contains(domain, "@") {
		return "", false, errAddress
	}
	domain, err = domains.ToASCII(domain)
	if err != nil || domain == "" || len(local)+1+len(domain) > maxAddress {
		return "", false, errAddress
	}
	isASCII := !strings.ContainsFunc(local, func(r rune) bool { return r > unicode.MaxASCII })
	return local + "@" + domain, !isASCII, nil
}

// The maximum lengths of values in templates, in runes.
const (
	maxValue = 200
	maxText  = 2000 // of the value message, which may have several lines
)

// clean returns data that is safe to show: without control and invisible characters, bounded, on one line except for
// the value message, and with no text that mail programs turn into a link. Users choose some of these values.
func clean(data map[string]string) map[string]string {
	cleaned := make(map[string]string, len(data))
	for name, value := range data {
		most := maxValue
		if name == "message" {
			most, value = maxText, strings.ReplaceAll(value, "\r\n", "\n")
		} else {
			value = strings.Join(strings.Fields(value), " ")
		}
		value = strings.Map(func(r rune) rune {
			if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
				return -1
			}
			return r
		}, value)
		value = strings.ReplaceAll(value, "://", ": //")
		if runes := []rune(value); len(runes) > most {
			value = string(runes[:most]) + "…"
		}
		cleaned[name] = value
	}
	return cleaned
}
