package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// domainForm matches domains in ASCII, as browsers compare them.
var domainForm = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$`)

// complete derives the settings of passkeys from those of the server. Passkeys are off if the public URL is not of a
// kind for which browsers have them.
func (p *Passkeys) complete(s *Server) {
	own, domain := passkeyOrigin(s.PublicURL)
	if p.WebAuthnRPID == "" {
		p.WebAuthnRPID = domain
	}
	if len(p.WebAuthnOrigins) > 0 {
		return
	}
	if own != "" {
		p.WebAuthnOrigins = append(p.WebAuthnOrigins, own)
	}
	for _, listed := range s.AllowedOrigins {
		if origin, _ := passkeyOrigin(listed); origin != "" && !strings.Contains(listed, "*") {
			p.WebAuthnOrigins = append(p.WebAuthnOrigins, origin)
		}
	}
	if len(p.WebAuthnOrigins) == 0 {
		p.WebAuthnRPID = ""
	}
}

// passkeyOrigin returns the origin of a URL and its domain, or nothing if browsers do not offer passkeys there. A
// loopback address becomes localhost, because addresses are no domains.
func passkeyOrigin(text string) (origin, domain string) {
	u, err := url.Parse(strings.ToLower(strings.TrimSpace(text)))
	if err != nil {
		return "", ""
	}
	domain = u.Hostname()
	if ip, err := netip.ParseAddr(domain); err == nil && ip.IsLoopback() {
		domain = "localhost"
	}
	isSecure := u.Scheme == "https" && domainForm.MatchString(domain)
	if !isSecure && (domain != "localhost" || u.Scheme != "http" && u.Scheme != "https") {
		return "", ""
	}
	host := domain
	if u.Port() != "" {
		host = net.JoinHostPort(domain, u.Port())
	}
	return u.Scheme + "://" + host, domain
}

func (p *Passkeys) problems() []string {
	var c check
	c.need(p.WebAuthnRPID == "" || p.WebAuthnRPID == "localhost" || domainForm.MatchString(p.WebAuthnRPID),
		"--webauthn-rp-id must be a domain, such as example.com")
	return c
}
