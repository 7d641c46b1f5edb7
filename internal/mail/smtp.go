package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const (
	// stepTimeout bounds connecting, TLS and authentication together, and each further command.
	stepTimeout = 30 * time.Second
	// acceptTimeout bounds the answer after the end of a mail. Servers scan mails before it, and a mail that is given up
	// before the answer arrives is sent twice.
	acceptTimeout = time.Minute
	// stopTimeout is how long a delivery may continue after the server began to stop.
	stopTimeout = 2 * time.Second
	// maxError is the maximum length of a stored error in bytes.
	maxError = 300
)

// failure is why a mail was not delivered.
type failure struct {
	text string
	// permanent means that this mail was refused; another attempt would be refused too.
	permanent bool
	// general means that other mails would fail too: the server cannot be reached or refuses the sender.
	general bool
	// broken means that the connection cannot be used any more.
	broken bool
}

func (f *failure) Error() string { return f.text }

// courier delivers mails to the mail server.
type courier struct {
	server       *Server
	from         netmail.Address
	tls          *tls.Config
	step, accept time.Duration
}

func newCourier(server *Server, from netmail.Address) *courier {
	return &courier{
		server: server, from: from, step: stepTimeout, accept: acceptTimeout,
		tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: server.Host},
	}
}

// line is an open connection to the mail server. One line delivers several mails.
type line struct {
	courier *courier
	conn    net.Conn
	client  *smtp.Client
}

// auths are the mechanisms of --smtp-url. Without TLS, a password in the clear was chosen with tls=none.
func (s *Server) auths() []gomail.SMTPAuthType {
	plain, login := gomail.SMTPAuthPlain, gomail.SMTPAuthLogin
	if s.TLS == "none" {
		plain, login = gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc
	}
	switch s.Auth {
	case "plain":
		return []gomail.SMTPAuthType{plain}
	case "login":
		return []gomail.SMTPAuthType{login}
	case "cram-md5":
		return []gomail.SMTPAuthType{gomail.SMTPAuthCramMD5}
	}
	return []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5, plain, login,
	}
}

// dial connects, secures the connection and authenticates.
func (c *courier) dial(ctx context.Context) (*line, error) {
	l := &line{courier: c}
	connect := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || c.server.TLS != "implicit" {
			l.conn = conn
			return conn, err
		}
		l.conn = conn
		encrypted := tls.Client(conn, c.tls)
		return encrypted, encrypted.HandshakeContext(ctx)
	}
	policy := gomail.NoTLS
	if c.server.TLS == "starttls" {
		policy = gomail.TLSMandatory
	}
	options := []gomail.Option{
		gomail.WithPort(c.server.Port), gomail.WithTimeout(c.step), gomail.WithTLSPolicy(policy),
		gomail.WithTLSConfig(c.tls), gomail.WithDialContextFunc(connect),
	}
	switch {
	case c.server.Username == "":
	case c.server.Auth == "xoauth2":
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthXOAUTH2))
	default:
		options = append(options, gomail.WithOpportunisticSMTPAuth(c.server.auths()...))
	}
	options = append(options, gomail.WithUsername(c.server.Username), gomail.WithPassword(c.server.Password))
	client, err := gomail.NewClient(c.server.Host, options...)
	if err == nil {
		l.client, err = client.DialToSMTPClientWithContext(ctx)
	}
	if err != nil {
		if l.conn != nil {
			_ = l.conn.Close()
		}
		return nil, &failure{text: c.explain("connect to "+c.address(), err), general: true, broken: true}
	}
	return l, nil
}

func (c *courier) address() string { return net.JoinHostPort(c.server.Host, fmt.Sprint(c.server.Port)) }

// close ends the connection. The answer to QUIT does not matter.
func (l *line) close() {
	_ = l.client.UpdateDeadline(time.Second)
	_ = l.client.Quit()
	_ = l.conn.Close()
}

// deliver sends one mail. Its error is a *failure. If ctx ends, the delivery has stopTimeout to complete.
func (l *line) deliver(ctx context.Context, p *parcel) error {
	hangUp := func() { time.AfterFunc(stopTimeout, func() { _ = l.conn.Close() }) }
	defer context.AfterFunc(ctx, hangUp)()
	if offers, _ := l.client.Extension("SMTPUTF8"); p.needsUTF8 && !offers {
		return &failure{text: "the mail server does not accept addresses like the recipient's (SMTPUTF8)", permanent: true}
	}
	l.client.SkipSMTPUTF8(!p.needsUTF8) // otherwise servers without SMTPUTF8 farther along would refuse the mail
	message, err := p.message(l.courier.from)
	if err != nil {
		return &failure{text: "make the mail: " + err.Error(), permanent: true}
	}
	steps := []struct {
		name    string
		sender  bool // whether an error concerns all mails
		timeout time.Duration
		run     func() error
	}{
		{"MAIL FROM", true, l.courier.step, func() error { return l.client.Mail(bracketed(l.courier.from.Address)) }},
		{"RCPT TO", false, l.courier.step, func() error { return l.client.Rcpt(bracketed(p.to)) }},
		{"DATA", false, l.courier.accept, func() error {
			w, err := l.client.Data()
			if err != nil {
				return err
			}
			if _, err := message.WriteTo(w); err != nil {
				return err
			}
			return w.Close()
		}},
	}
	for _, step := range steps {
		err := l.client.UpdateDeadline(step.timeout)
		if err == nil {
			err = step.run()
		}
		if err != nil {
			return l.fail(step.name, step.sender, err, p)
		}
	}
	return nil
}

// fail judges an error of a step. It leaves a usable connection ready for the next mail.
func (l *line) fail(step string, sender bool, err error, p *parcel) error {
	f := &failure{text: l.courier.explain(step, err, p.to, p.secret, p.link), general: sender}
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok || reply.Code == 421 {
		f.general, f.broken = sender || ok, true
		return f
	}
	f.permanent = !sender && reply.Code >= 500
	f.broken = l.client.UpdateDeadline(l.courier.step) != nil || l.client.Reset() != nil
	return f
}

// explain returns the text of an error for the log and the operator. Replies of servers repeat recipients and parts of
// mails, so explain removes them.
func (c *courier) explain(doing string, err error, hidden ...string) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, err.Error())
	for _, h := range append(hidden, c.server.Password, c.server.Username) {
		if h != "" {
			text = strings.ReplaceAll(text, h, "[hidden]")
		}
	}
	text = strings.ToValidUTF8(text, "")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return doing + ": " + text
}

// bracketed returns an address as in an SMTP command, with its local part quoted if necessary.
func bracketed(address string) string { return (&netmail.Address{Address: address}).String() }

// parcel is a mail ready to be delivered.
type parcel struct {
	rendered
	messageID    string
	created      time.Time
	to           string
	needsUTF8    bool
	secret, link string // never logged, except in development
}

// message returns the mail in its MIME form. Auto-Submitted keeps vacation responders from answering (RFC 3834). The
// encodings keep lines short, whatever their content.
func (p *parcel) message(from netmail.Address) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&from)
	m.ToMailAddress(&netmail.Address{Address: p.to})
	m.SetMessageIDWithValue(p.messageID)
	m.SetDateWithValue(p.created)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.Subject(p.subject)
	m.SetBodyString(gomail.TypeTextPlain, p.text)
	if p.html != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, p.html)
	}
	return m, nil
}
