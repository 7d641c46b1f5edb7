package app

import (
	"context"
	"net/netip"
	"strings"

	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/secret"
)

func (a *App) newOutbox(key *secret.Secret) (*mail.Outbox, error) {
	server, err := a.Config.SMTPServer()
	if err != nil {
		return nil, err
	}
	links, err := mail.ParseLinks(a.Config.LinksBase)
	if err != nil {
		return nil, err
	}
	ended := a.Metrics.Counters("graphwarden_mails_total",
		"Mails that were sent, refused or not sent in time, by kind and state.", "kind", "state")
	return mail.NewOutbox(a.DB, key, a.Throttle.Mail, a.Challenges.RevealOpen, mail.Options{
		Server:      (*mail.Server)(server),
		From:        a.Config.MailFrom,
		Links:       links,
		Templates:   a.Config.MailTemplates,
		Development: !a.Config.Production,
		OnEnd:       func(kind mail.Kind, state mail.State) { ended(string(kind), string(state)) },
	}, a.now, a.log)
}

// mailChecks judges the settings of mail by the standards of production.
func mailChecks(c *config.Config) []Check {
	server, err := c.SMTPServer()
	if err != nil {
		return nil // it was refused before
	}
	if server == nil {
		return []Check{{
			Name: "mail", Advice: true,
			Bad: "there is no mail server, so that no mails are sent", Fix: "set --smtp-url and --mail-from",
		}}
	}
	_, badLinks := mail.ParseLinks(c.LinksBase)
	ip, err := netip.ParseAddr(server.Host)
	isLocal := server.Host == "localhost" || err == nil && ip.IsLoopback()
	return []Check{{
		Name: "mail TLS", OK: server.TLS != "none" || isLocal, Flag: "--insecure-smtp", Accepted: c.InsecureSMTP,
		Good: "connections to the mail server are encrypted, or stay on this host",
		Bad:  "passwords, links and codes travel to the mail server in the clear",
		Fix:  "take tls=none out of --smtp-url",
	}, {
		Name: "mail links", OK: badLinks == nil, Bad: message(badLinks),
		Good: "their secrets are after the #, which servers do not see",
	}, {
		Name: "mail links TLS", OK: strings.HasPrefix(c.LinksBase, "https://"),
		Flag: "--insecure-http", Accepted: c.InsecureHTTP,
		Good: "they open pages by https://", Bad: "links in mails open pages that anyone on the network can change",
		Fix: "set --links-base to an https:// URL",
	}}
}

// reachCheck checks that the mail server answers and accepts the user name and password.
func reachCheck(ctx context.Context, c *config.Config) []Check {
	server, err := c.SMTPServer()
	if err != nil || server == nil {
		return nil // mailChecks has said so
	}
	err = mail.Reach(ctx, (*mail.Server)(server))
	return []Check{{
		Name: "mail server", OK: err == nil, Advice: true, Good: "it answers and accepts this server's connection",
		Bad: message(err), Fix: "check --smtp-url, then try graphwarden mail test ADDRESS",
	}}
}
