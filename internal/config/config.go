package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/dsn"
	"github.com/graphwarden/graphwarden/internal/secret"
)

// Complete fills settings that follow from others and returns every invalid setting at once. Settings that are valid
// but unsafe are checked by app.Checks. hasRole reports whether the schema has a role.
func (c *Config) Complete(hasRole func(string) bool) []string {
	c.PathPrefix = strings.TrimSuffix(c.PathPrefix, "/")
	if c.PublicURL == "" {
		c.PublicURL = c.LocalURL()
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.PathPrefix == "" {
		c.PathPrefix = c.PublicPath()
	}
	if c.Issuer == "" {
		c.Issuer = c.PublicURL
	}
	if c.Audience == "" {
		c.Audience = c.PublicURL
	}
	if c.MailFrom == "" && c.SMTPURL == "" {
		c.MailFrom = "Graphwarden <graphwarden@localhost>" // of mails in the log
	}
	if c.LinksBase == "" {
		c.LinksBase = c.PublicURL + "/#{flow}={token}"
	}
	if c.TOTPIssuer == "" {
		c.TOTPIssuer = c.PublicHost()
	}
	if c.Register == "" {
		c.Register = map[bool]string{true: "silent", false: "open"}[c.SMTPURL != ""]
	}
	if c.EmailVerification == "" {
		c.EmailVerification = map[bool]string{true: "optional", false: "off"}[c.SMTPURL != ""]
	}
	c.Passkeys.complete(&c.Server)
	if c.Introspection == "" {
		c.Introspection = "public"
		if c.Production {
			c.Introspection = "off"
		}
	}
	return slices.Concat(
		c.rangeProblems(),
		c.Storage.problems(),
		c.Tokens.problems(),
		c.Factors.problems(hasRole),
		c.Server.problems(hasRole),
		c.Network.problems(),
		c.Mail.problems(c.Production),
		c.Passkeys.problems(),
		c.Federation.problems(),
	)
}

// LocalURL is the default of the public URL.
func (c *Config) LocalURL() string {
	url := c.Scheme() + "://" + c.Listen
	if pathForm.MatchString(c.PathPrefix) { // otherwise problems reports the prefix, not the URL
		url += c.PathPrefix
	}
	return url
}

// check collects problems.
type check []string

// need adds a problem unless ok.
func (p *check) need(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

func (s *Storage) problems() []string {
	var p check
	source, err := dsn.Parse(s.Database)
	p.need(err == nil, "%v", err)
	p.need(s.Secret == "" || len(secret.Trim(s.Secret)) >= secret.MinLength,
		"--secret must have at least %d bytes", secret.MinLength)
	for _, one := range s.AcceptSecret.filled() {
		p.need(len(secret.Trim(one)) >= secret.MinLength, "--accept-secret must have at least %d bytes", secret.MinLength)
	}
	p.need(s.Secret != "" || err != nil || source.Path != "",
		"--secret is needed with Postgres, the same on every replica: make one with `openssl rand -base64 33`")
	return p
}

func (t *Tokens) problems() []string {
	var p check
	p.need(t.KeyLife >= 2*t.KeyOverlap, "--key-life must be at least twice --key-overlap")
	p.need(t.SessionLife >= t.SessionIdle, "--session-life must be at least --session-idle")
	_, _, err := t.Pepper()
	p.need(err == nil,
		"--password-pepper must be ID:TEXT with an id of letters and digits and a text of at least %d bytes",
		secret.MinLength)
	_, err = t.OldPeppers()
	p.need(err == nil, "--old-pepper must be ID:TEXT, like --password-pepper")
	return p
}

func (f *Factors) problems(hasRole func(string) bool) []string {
	var p check
	for _, role := range f.RequireMFA {
		p.need(hasRole(role), "--require-mfa has %s, which is not a role of the schema", role)
	}
	p.need(!strings.Contains(f.TOTPIssuer, ":"), "--totp-issuer must not contain a colon")
	return p
}

var (
	// pathForm matches paths that need no escaping and have no segment that clients or proxies resolve.
	pathForm   = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110 section 5.6.2
)

func (s *Server) problems(hasRole func(string) bool) []string {
	var p check
	_, _, err := net.SplitHostPort(s.Listen)
	p.need(err == nil, "--listen must be HOST:PORT")
	_, _, err = net.SplitHostPort(s.MetricsListen)
	p.need(err == nil || s.MetricsListen == "", "--metrics-listen must be HOST:PORT")
	u, err := url.Parse(s.PublicURL)
	isHTTP := err == nil && (u.Scheme == "http" || u.Scheme == "https")
	p.need(isHTTP && u.Host != "" && u.RawQuery == "" && u.Fragment == "",
		"--public-url must be an http:// or https:// URL")
	p.need(err != nil || pathForm.MatchString(s.PublicPath()),
		"--public-url must have a path of letters, digits and - . _ ~ only")
	p.need(pathForm.MatchString(s.PathPrefix) || s.PathPrefix == s.PublicPath(),
		"--path-prefix must be a path such as /api, of letters, digits and - . _ ~")
	for _, name := range s.AllowedHeaders {
		p.need(name == "*" || headerForm.MatchString(name), "--allowed-headers must be header names, such as X-Team")
	}
	p.need(slices.Contains([]string{"public", "authenticated", "off"}, s.Introspection) || hasRole(s.Introspection),
		"--introspection must be public, authenticated, off, or a role of the schema")
	p.need(s.IdlePoll == 0 || s.IdlePoll >= time.Second, "--idle-poll must be 0 or at least 1s")
	return p
}

func (n *Network) problems() []string {
	var p check
	p.need((n.TLSCert == "") == (n.TLSKey == ""), "--tls-cert and --tls-key must be given together")
	return p
}

// Scheme is the scheme of the server itself, without a proxy in front.
func (n *Network) Scheme() string {
	if n.TLSCert != "" {
		return "https"
	}
	return "http"
}

// PublicPath is the path of the public URL, below which clients find everything; empty if that is the root.
func (s *Server) PublicPath() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return "" // problems reports it
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}

// PublicHost is the host of the public URL, without a port.
func (s *Server) PublicHost() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return "" // problems reports it
	}
	return u.Hostname()
}

// IsHTTPS reports whether clients find the server under https, whether or not a proxy ends TLS.
func (s *Server) IsHTTPS() bool { return strings.HasPrefix(s.PublicURL, "https://") }
