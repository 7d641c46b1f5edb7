// Package mailtest runs SMTP servers for tests: real ones, with TLS and authentication, that keep the mails that they
// accept and fail as a test wants.
package mailtest

import (
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// deadline bounds every wait for a mail. It is far longer than a delivery takes.
const deadline = 60 * time.Second

// Mail is a mail that the server has accepted, or received without answering.
type Mail struct {
	From, To string
	// Raw is the mail as it arrived, without the final dot.
	Raw string
	// UTF8 reports whether the client requested SMTPUTF8.
	UTF8 bool
}

// Options are the properties of a Server. The functions run on the connection's goroutine, so they may block.
type Options struct {
	// TLS is starttls, implicit or none, which is also the default.
	TLS string
	// Certificate is needed with TLS.
	Certificate tls.Certificate
	// Username and Password are required from clients, unless they are empty.
	Username, Password string
	// UTF8 offers SMTPUTF8.
	UTF8 bool
	// OnAuth, OnMail, OnRcpt and OnData run before the answers to AUTH, MAIL FROM, RCPT TO and the mail. Their errors are
	// the answers; Code makes one.
	OnAuth func() error
	OnMail func(from string) error
	OnRcpt func(to string) error
	OnBody func() error
	// OnData gets the mail, and the connection, which it may close instead of answering.
	OnData func(m Mail, conn net.Conn) error
}

// Code is an answer with an SMTP code.
func Code(code int, message string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: message}
}

// Server is a running SMTP server.
type Server struct {
	// Address is its HOST:PORT. URL is the value of --smtp-url that leads to it.
	Address, URL string

	options Options
	server  *smtp.Server

	mu       sync.Mutex
	received []Mail
	changed  chan struct{} // closed at the next mail
	sessions int
}

// Start runs a server until the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	return StartAt(tb, "127.0.0.1:0", o)
}

// StartAt is Start on an address.
func StartAt(tb testing.TB, address string, o Options) *Server {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	if o.TLS == "" {
		o.TLS = "none"
	}
	s := &Server{Address: l.Addr().String(), options: o, changed: make(chan struct{})}
	s.URL = "smtp://" + s.Address + "?tls=" + o.TLS
	if o.Username != "" {
		s.URL = strings.Replace(s.URL, "://", "://"+o.Username+":"+o.Password+"@", 1)
	}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions++
		return &session{server: s, conn: c}, nil
	}))
	s.server.Domain, s.server.EnableSMTPUTF8, s.server.AllowInsecureAuth = "mail.test", o.UTF8, o.TLS == "none"
	s.server.ErrorLog = discard{}
	s.server.MaxLineLength = 1000 // RFC 5321 section 4.5.3.1.6
	config := &tls.Config{Certificates: []tls.Certificate{o.Certificate}, MinVersion: tls.VersionTLS12}
	switch o.TLS {
	case "starttls":
		s.server.TLSConfig = config
	case "implicit":
		l = tls.NewListener(l, config)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.server.Serve(l)
	}()
	tb.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return s
}

// Stop closes the listener and all connections.
func (s *Server) Stop() { _ = s.server.Close() }

// Sessions returns the number of connections so far.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Mails returns all mails so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Wait returns the mails as soon as enough reports that the test can continue.
func (s *Server) Wait(tb testing.TB, enough func([]Mail) bool) []Mail {
	tb.Helper()
	timeout := time.After(deadline)
	for {
		s.mu.Lock()
		mails, changed := slices.Clone(s.received), s.changed
		s.mu.Unlock()
		if enough(mails) {
			return mails
		}
		select {
		case <-changed:
		case <-timeout:
			tb.Fatalf("only %d mails arrived", len(mails))
		}
	}
}

// WaitFor returns the nth mail to an address, from 1 on.
func (s *Server) WaitFor(tb testing.TB, to string, nth int) Mail {
	tb.Helper()
	var found []Mail
	s.Wait(tb, func(mails []Mail) bool {
		found = slices.DeleteFunc(mails, func(m Mail) bool { return m.To != to })
		return len(found) >= nth
	})
	return found[nth-1]
}

func (s *Server) add(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, m)
	close(s.changed)
	s.changed = make(chan struct{})
}

type session struct {
	server   *Server
	conn     *smtp.Conn
	signedIn bool
	mail     Mail
}

func (s *session) Reset()        { s.mail = Mail{} }
func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string {
	if s.server.options.Username == "" {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(username, password string) error {
		o := s.server.options
		if o.OnAuth != nil {
			if err := o.OnAuth(); err != nil {
				return err
			}
		}
		if username != o.Username || password != o.Password {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}
	if mechanism == sasl.Login {
		return &login{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, username, password string) error { return check(username, password) }), nil
}

// login is the server of the mechanism LOGIN, which go-sasl lacks.
type login struct {
	check    func(username, password string) error
	username *string
	started  bool
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case !l.started:
		l.started = true
		return []byte("Username:"), false, nil
	case l.username == nil:
		username := string(response)
		l.username = &username
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(*l.username, string(response))
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.server.options.Username != "" && !s.signedIn {
		return smtp.ErrAuthRequired
	}
	s.mail = Mail{From: from, UTF8: o.UTF8}
	if f := s.server.options.OnMail; f != nil {
		return f(from)
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = to
	if f := s.server.options.OnRcpt; f != nil {
		return f(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	if f := s.server.options.OnBody; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := s.mail
	m.Raw = string(raw)
	if f := s.server.options.OnData; f != nil {
		if err := f(m, s.conn.Conn()); err != nil {
			return err
		}
	}
	s.server.add(m)
	return nil
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// Header returns a decoded header.
func (m Mail) Header(tb testing.TB, name string) string {
	tb.Helper()
	text, err := new(mime.WordDecoder).DecodeHeader(m.parse(tb).Header.Get(name))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func (m Mail) parse(tb testing.TB) *netmail.Message {
	tb.Helper()
	message, err := netmail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		tb.Fatalf("%v in %q", err, m.Raw)
	}
	return message
}

// Text returns the decoded plain text, with the line breaks of Go.
func (m Mail) Text(tb testing.TB) string {
	tb.Helper()
	return m.part(tb, "text/plain")
}

// HTML returns the decoded HTML; empty if there is none.
func (m Mail) HTML(tb testing.TB) string {
	tb.Helper()
	return m.part(tb, "text/html")
}

func (m Mail) part(tb testing.TB, want string) string {
	tb.Helper()
	message := m.parse(tb)
	read := func(contentType string, body io.Reader) string {
		kind, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			tb.Fatal(err)
		}
		if kind != want {
			return ""
		}
		text, err := io.ReadAll(body)
		if err != nil {
			tb.Fatal(err)
		}
		return strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		tb.Fatal(err)
	}
	if kind != "multipart/alternative" {
		return read(kind, quotedprintable.NewReader(message.Body))
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart() // it decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			tb.Fatal(err)
		}
		if text := read(part.Header.Get("Content-Type"), part); text != "" {
			return text
		}
	}
}

var links = regexp.MustCompile(`https?://\S+`)

// Link returns the first link in the text; empty if there is none.
func (m Mail) Link(tb testing.TB) string {
	tb.Helper()
	return links.FindString(m.Text(tb))
}
