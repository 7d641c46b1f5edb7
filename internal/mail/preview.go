package mail

import (
	"embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxSamples is how many mails the preview shows.
const maxSamples = 100

//go:embed preview.html
var previewFile embed.FS

// sample is a mail in the preview.
type sample struct {
	To, Subject, Text, HTML string
	At                      time.Time
}

// keep keeps a mail for Preview.
func (o *Outbox) keep(p *parcel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == maxSamples {
		o.last = slices.Delete(o.last, 0, 1)
	}
	o.last = append(o.last, sample{To: p.to, Subject: p.subject, Text: p.text, HTML: p.html, At: p.created})
}

// print logs a mail in development, where there is no mail server to deliver it.
func (o *Outbox) print(p *parcel) {
	attributes := []any{"to", p.to, "subject", p.subject}
	switch {
	case p.link != "":
		attributes = append(attributes, "link", p.link)
	case p.secret != "":
		attributes = append(attributes, "code", p.secret)
	}
	o.log.Info("mail is logged, because there is no --smtp-url", attributes...)
}

// Preview returns a page with the last mails of this process, newest first. It is for development: its links and codes
// open accounts. Therefore it answers only programs of this machine that call it by a loopback name and without a proxy
// in between: a page of another site could have its name resolve to this machine, and a tunnel would let strangers in.
func (o *Outbox) Preview() (http.Handler, error) {
	page, err := template.ParseFS(previewFile, "preview.html")
	if err != nil {
		return nil, fmt.Errorf("parse the preview: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r) {
			http.NotFound(w, r)
			return
		}
		o.mu.Lock()
		last := slices.Clone(o.last)
		o.mu.Unlock()
		slices.Reverse(last)
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		// The frames of the mails inherit this policy.
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; "+
			"base-uri 'none'; frame-ancestors 'none'")
		_ = page.Execute(w, last) // fails only if the client has left
	}), nil
}

// isLocal reports whether a request comes from a program of this machine, directly and by a name of this machine.
func isLocal(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(header)) > 0 {
			return false
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	isOwnName := strings.EqualFold(host, "localhost") || isLoopback(strings.Trim(host, "[]"))
	return err == nil && isLoopback(remote) && isOwnName
}

func isLoopback(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Unmap().IsLoopback()
}
