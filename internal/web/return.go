package web

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxReturn bounds an address to return to, in bytes.
const maxReturn = 2000

// returnForm admits URLs with a scheme, but nothing that parsers read differently: blanks, control characters,
// backslashes, characters beyond ASCII. The server adds the fragment itself.
var returnForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+$`)

// AdmitsReturn reports whether a browser that has visited another site may be sent back to an address: of a page of an
// origin that is listed in full, which cookies trust too, or of a native application (RFC 8252). Patterns do not count:
// they admit pages of others, who would receive what the fragment holds.
func (o *Origins) AdmitsReturn(to string) bool {
	if len(to) > maxReturn || !returnForm.MatchString(to) {
		return false
	}
	u, err := url.Parse(to)
	if err != nil || u.User != nil {
		return false
	}
	if slices.ContainsFunc(o.returns, func(listed *url.URL) bool { return isReturn(listed, u) }) {
		return true
	}
	from, err := parseOrigin(u.Scheme + "://" + u.Host)
	return err == nil && (o.exact[from] || o.options.Loopback && from.isLoopback())
}

// isReturn reports whether u is a listed address. Its query may differ, and on the loopback interface its port, which
// the operating system assigns to the application (RFC 8252, section 7.3).
func isReturn(listed, u *url.URL) bool {
	samePlace := listed.Host == u.Host || isLoopbackIP(listed) && listed.Hostname() == u.Hostname()
	return listed.Scheme == u.Scheme && samePlace && listed.EscapedPath() == u.EscapedPath() && listed.Opaque == u.Opaque
}

func isLoopbackIP(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && err == nil && ip.IsLoopback()
}

// parseReturn parses an entry of OriginOptions.Returns.
func parseReturn(text string) (*url.URL, error) {
	if !returnForm.MatchString(text) || len(text) > maxReturn {
		return nil, errors.New("is not an address to return to, such as com.example.app:/signed-in")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.User != nil || u.RawQuery != "":
		return nil, errors.New("must be an address without user and query")
	case u.Scheme == "https" || u.Scheme == "http" && !isLoopbackIP(u):
		return nil, errors.New("is of a web page: list its origin with --allowed-origins")
	case u.Scheme != "http" && !strings.Contains(u.Scheme, "."):
		return nil, errors.New("must have a scheme made from a domain of yours, such as com.example.app (RFC 8252)")
	}
	return u, nil
}
