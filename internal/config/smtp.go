package config

import (
	"cmp"
	"errors"
	"log/slog"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// SMTPURL is the value of --smtp-url. Formatting or logging it does not print it, because it contains a password.
type SMTPURL string

const redacted = "[mail server]"

// String keeps the URL out of fmt.
func (SMTPURL) String() string { return redacted }

// GoString keeps the URL out of %#v.
func (SMTPURL) GoString() string { return redacted }

// LogValue keeps the URL out of slog.
func (SMTPURL) LogValue() slog.Value { return slog.StringValue(redacted) }

// SMTPServer is the parsed value of --smtp-url.
type SMTPServer struct {
	Host               string
	Port               int
	TLS                string // starttls, implicit or none
	Auth               string // auto, plain, login, cram-md5 or xoauth2
	Username, Password string
}

// smtpPorts are the usual ports by the kind of TLS.
var smtpPorts = map[string]string{"starttls": "587", "implicit": "465", "none": "25"}

var smtpAuths = []string{"auto", "plain", "login", "cram-md5", "xoauth2"}

// SMTPServer returns the mail server, or nil if there is none. Its errors never contain the URL.
func (m *Mail) SMTPServer() (*SMTPServer, error) {
	text := strings.TrimSpace(string(m.SMTPURL))
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("--smtp-url is not a URL: write special characters of the password as %40 for @")
	}
	query := u.Query()
	s := &SMTPServer{
		Host: u.Hostname(),
		TLS:  cmp.Or(query.Get("tls"), map[string]string{"smtp": "starttls", "smtps": "implicit"}[u.Scheme]),
		Auth: cmp.Or(query.Get("auth"), "auto"),
	}
	s.Username = u.User.Username()
	s.Password, _ = u.User.Password()
	port, isTLS := smtpPorts[s.TLS]
	s.Port, err = strconv.Atoi(cmp.Or(u.Port(), port))
	for name := range query {
		if name != "tls" && name != "auth" {
			return nil, errors.New("--smtp-url has parameters other than tls and auth")
		}
	}
	switch {
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return nil, errors.New("--smtp-url must start with smtp:// or smtps://")
	case s.Host == "" || err != nil || s.Port < 1 || s.Port > 65535 || strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return nil, errors.New("--smtp-url must be smtp://USER:PASSWORD@HOST:PORT")
	case !isTLS || u.Scheme == "smtps" && s.TLS != "implicit":
		return nil, errors.New("--smtp-url: tls must be starttls, implicit or none")
	case !slices.Contains(smtpAuths, s.Auth):
		return nil, errors.New("--smtp-url: auth must be auto, plain, login, cram-md5 or xoauth2")
	}
	return s, nil
}

// SendsCodes reports whether users can sign in with a code from a mail.
func (m *Mail) SendsCodes() bool { return slices.Contains(m.SignIn, "code") }

func (m *Mail) problems(production bool) []string {
	var p check
	p.need(slices.Contains([]string{"open", "silent", "invite", "closed"}, m.Register),
		"--register must be open, silent, invite or closed")
	p.need(slices.Contains([]string{"off", "optional", "required"}, m.EmailVerification),
		"--email-verification must be off, optional or required")
	methods := strings.Join(m.SignIn, ",")
	p.need(methods == "password" || methods == "password,code", "--sign-in must be password or password,code")
	needMail := m.Register == "silent" || m.Register == "invite" || m.EmailVerification != "off" || m.SendsCodes()
	p.need(m.SMTPURL != "" || !production || !needMail,
		"--smtp-url is needed with --register=silent or invite, --email-verification and --sign-in=password,code")
	p.need(m.Register != "silent" || m.EmailVerification != "off", "--register=silent needs --email-verification")
	server, err := m.SMTPServer()
	p.need(err == nil, "%v", err)
	p.need(server == nil || m.MailFrom != "", "--mail-from is needed with --smtp-url")
	if m.MailFrom != "" {
		_, err := mail.ParseAddress(m.MailFrom)
		p.need(err == nil, "--mail-from must be an address, such as 'Example <no-reply@example.com>'")
	}
	return p
}
