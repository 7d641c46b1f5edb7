package web

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// maxOrigin bounds an origin, in bytes: a host name has at most 253, and decoding Punycode takes quadratic time.
const maxOrigin = 300

// origin is a web origin as browsers write it, but entirely in lower case: WebKit keeps the case of hosts under the
// schemes of applications. The port is empty if it is the scheme's default.
type origin struct{ scheme, host, port string }

func (o origin) String() string {
	if o.port == "" {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.host + ":" + o.port
}

var (
	// originForm is scheme://host[:port]. Applications have their own schemes, such as capacitor or chrome-extension.
	originForm = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*)://` +
		`([^/?#@\s*:\[\]]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?$`)
	hostForm = regexp.MustCompile(`^[a-z0-9._-]+$`)
	// numericHost is a host that browsers read as an IPv4 address (WHATWG URL, "ends in a number").
	numericHost = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)\.?$`)
	// hostNames maps names as browsers do (UTS #46 as used by WHATWG URL).
	hostNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
		idna.CheckHyphens(false), idna.BidiRule())
	// originless are schemes that no page has in its Origin header.
	originless = []string{"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"}
)

func parseOrigin(text string) (origin, error) {
	if len(text) > maxOrigin {
		return origin{}, errors.New("is too long")
	}
	parts := originForm.FindStringSubmatch(text)
	if parts == nil {
		return origin{}, whyNoOrigin(text)
	}
	o := origin{scheme: strings.ToLower(parts[1])}
	if slices.Contains(originless, o.scheme) {
		return origin{}, fmt.Errorf("never matches: no page has an origin with the scheme %s", o.scheme)
	}
	var err error
	if o.host, err = parseHost(parts[2], o.isWeb()); err != nil {
		return origin{}, err
	}
	o.port, err = parsePort(o.scheme, parts[3])
	return o, err
}

// isWeb reports whether the host is a DNS name or an IP address.
func (o origin) isWeb() bool { return o.scheme == "http" || o.scheme == "https" }

func whyNoOrigin(text string) error {
	if text == "null" {
		return errors.New("cannot be listed: it is shared by all sandboxed pages and local files")
	}
	if strings.Contains(text, "*") {
		return errors.New("may have * only as a whole label in front of a host name, " +
			"such as https://*.preview.example.com")
	}
	scheme, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end > 0 {
		if o, err := parseOrigin(scheme + "://" + rest[:end]); err == nil {
			return fmt.Errorf("is a URL, not an origin: write %s", o)
		}
	}
	return errors.New("is not an origin, such as https://app.example.com")
}

func parseHost(host string, isWeb bool) (string, error) {
	if inner, found := strings.CutPrefix(host, "["); found {
		return parseIPv6(strings.TrimSuffix(inner, "]"))
	}
	name := strings.ToLower(host)
	if isWeb {
		var err error
		if name, err = hostNames.ToASCII(host); err != nil {
			return "", errors.New("has no valid host name")
		}
	}
	if !hostForm.MatchString(name) {
		return "", errors.New("has a character that host names do not have")
	}
	if isWeb && numericHost.MatchString(name) {
		address, err := netip.ParseAddr(name)
		if err != nil {
			return "", errors.New("has an IPv4 address that is not four decimal numbers")
		}
		return address.String(), nil
	}
	return name, nil
}

func parseIPv6(text string) (string, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is6() {
		return "", errors.New("has no valid IPv6 address")
	}
	if address.Is4In6() { // which netip writes with dots, and browsers in hexadecimal
		b := address.As16()
		return fmt.Sprintf("[::ffff:%x:%x]", int(b[12])<<8|int(b[13]), int(b[14])<<8|int(b[15])), nil
	}
	return "[" + address.String() + "]", nil
}

func parsePort(scheme, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", errors.New("has no valid port")
	}
	if scheme == "http" && number == 80 || scheme == "https" && number == 443 {
		return "", nil
	}
	return strconv.FormatUint(number, 10), nil
}

// originOf returns the origin of a URL.
func originOf(text string) (origin, error) {
	u, err := url.Parse(text)
	if err != nil {
		return origin{}, errors.New("is not a URL") // err repeats it
	}
	return parseOrigin(u.Scheme + "://" + u.Host)
}

// originPattern is an origin with any single label in front of its host.
type originPattern origin

// parsePattern parses scheme://*.host[:port].
func parsePattern(scheme, rest string) (originPattern, error) {
	o, err := parseOrigin(scheme + "://" + rest)
	if err != nil {
		return originPattern{}, err
	}
	if !o.isWeb() || strings.HasPrefix(o.host, "[") || numericHost.MatchString(o.host) {
		return originPattern{}, errors.New("may leave a label open in host names under http and https only")
	}
	// The owner of the host must own every name that the pattern admits, so none may be a registrable domain.
	name := strings.TrimSuffix(o.host, ".")
	if domain, err := publicsuffix.EffectiveTLDPlusOne("x." + name); err != nil || domain == "x."+name {
		return originPattern{}, fmt.Errorf("would admit pages of others: anyone can register a name below %s", name)
	}
	return originPattern(o), nil
}

func (p originPattern) matches(o origin) bool {
	label, found := strings.CutSuffix(o.host, "."+p.host)
	return found && label != "" && !strings.Contains(label, ".") && o.scheme == p.scheme && o.port == p.port
}

// isLoopback reports whether an origin is a page of this machine. Browsers resolve names below localhost to it.
func (o origin) isLoopback() bool {
	if !o.isWeb() {
		return false
	}
	address, err := netip.ParseAddr(strings.Trim(o.host, "[]"))
	return o.host == "localhost" || strings.HasSuffix(o.host, ".localhost") || err == nil && address.IsLoopback()
}
