package mail_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mail/mailtest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// writeFiles writes files to a temporary folder.
func writeFiles(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// deliver sends a message through a real server and returns it as it arrived.
func deliver(t *testing.T, db *store.DB, m mail.Message, change ...func(*mail.Options)) mailtest.Mail {
	t.Helper()
	server := mailtest.Start(t, mailtest.Options{})
	o := newOutbox(t, db, append(change, through(t, server))...)
	exec(t, db, "DELETE FROM leases")
	send(t, db, o, m)
	if err := mail.SendDue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mails := server.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived: %s", len(mails), lastError(t, db))
	}
	return mails[0]
}

func TestEachKindHasATextAndAPage(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{})
		o := newOutbox(t, db, through(t, server))
		all := mail.Kinds()
		slices.Sort(all)
		for _, kind := range all {
			m := mail.Message{Kind: kind, To: string(kind) + "@example.org",
				Data: map[string]string{"ip": "192.0.2.7", "device": "Firefox", "time": "now", "message": "welcome", "email": "new@example.org",
					"provider": "Acme"}}
			if mail.NeedsChallenge(kind) {
				m.Challenge = "c1"
			}
			send(t, db, o, m)
		}
		if err := mail.SendDue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for _, kind := range all {
			m := server.WaitFor(t, string(kind)+"@example.org", 1)
			text, page := m.Text(t), m.HTML(t)
			if m.Header(t, "Subject") == "" || !strings.Contains(text, "Hello,") || !strings.Contains(page, "<p>Hello,</p>") {
				t.Errorf("%s: %s\n%s", kind, text, page)
			}
			if secret := "secret-of-c1"; mail.NeedsChallenge(kind) != strings.Contains(text, secret) ||
				mail.NeedsChallenge(kind) != strings.Contains(page, secret) {
				t.Errorf("%s: %s\n%s", kind, text, page)
			}
			for line := range strings.Lines(text) {
				if len(line) > 140 || strings.Contains(line, "<no value>") {
					t.Errorf("%s: %s", kind, line)
				}
			}
		}
	})
}

func TestTeamsReplaceTemplatesAndAddLanguages(t *testing.T) {
	t.Parallel()
	folder := writeFiles(t, map[string]string{
		"verify-email.txt":    "Subject: Check\n\nours {{.Link}}",
		"layout.html":         `<html lang="{{.Language}}">ours {{template "content" .}}</html>`,
		"de/verify-email.txt": "Subject: Bitte bestätigen\r\n\r\nHallo {{.Link}}",
		"de/login-code.txt":   "Subject: {{.Code}}\n\nCode {{.Code}}",
		"de/login-code.html":  `<b>{{.Code}}</b>`,
		"de/layout.txt":       `{{template "content" .}} Grüße, {{.Site}}`,
		"pt-BR/test.txt":      "Subject: Teste\n\nOlá",
	})
	choose := func(o *mail.Options) { o.Templates = folder }
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		for _, test := range []struct {
			kind                  mail.Kind
			locale                string
			subject, text, htmlIs string
		}{
			{mail.VerifyEmail, "", "Check", "ours https://app.example.com/verify-email#secret-of-c1", ""},
			{mail.VerifyEmail, "fr", "Check", "ours https://", ""},
			{mail.VerifyEmail, "de", "Bitte bestätigen", "secret-of-c1 Grüße, Example", ""},
			{mail.VerifyEmail, "de-AT", "Bitte bestätigen", "Hallo ", ""},
			{mail.VerifyEmail, "DE_at", "Bitte bestätigen", "Hallo ", ""},
			{mail.LoginCode, "de", "secret-of-c1", "Code ", `<html lang="de">ours <b>secret-of-c1</b></html>`},
			{mail.Test, "pt-BR", "Teste", "Olá", ""},
			{mail.Test, "pt", "Test mail from Example", "This is a test", `<html lang="en">ours <p>Hello,</p>`},
			{mail.Test, "../../etc", "Test mail from Example", "This is a test", `<html lang="en">ours `},
		} {
			message := mail.Message{Kind: test.kind, To: "kim@example.org", Locale: test.locale}
			if test.kind != mail.Test {
				message.Challenge = "c1"
			}
			m := deliver(t, db, message, choose)
			page := m.HTML(t)
			if got := m.Header(t, "Subject"); got != test.subject || !strings.Contains(m.Text(t), test.text) ||
				!strings.HasPrefix(page, test.htmlIs) || test.htmlIs == "" && page != "" {
				t.Errorf("%s in %q: %q, %s, %s", test.kind, test.locale, got, m.Text(t), page)
			}
		}
	})
}

func TestTemplatesWithMistakesStopTheStart(t *testing.T) {
	t.Parallel()
	for says, files := range map[string]map[string]string{
		"verify-email.txt: template":              {"verify-email.txt": "Subject: x\n\n{{.Link"},
		"verify-email.html or .txt: template":     {"verify-email.txt": "Subject: x\n\n{{.Link}}", "verify-email.html": "{{.Link"},
		"can't evaluate field Lnik":               {"de/verify-email.txt": "Subject: x\n\n{{.Link}} {{.Lnik}}"},
		"lacks {{.Link}}":                         {"verify-email.txt": "Subject: x\n\nHello"},
		"verify-email.txt: it must begin":         {"verify-email.txt": "Hello {{.Link}}"},
		"verfy-email.txt is not the name":         {"verfy-email.txt": "Subject: x\n\n{{.Link}}"},
		"de/verify-email.html needs verify-email": {"de/verify-email.html": "{{.Link}}"},
	} {
		o := options(func(o *mail.Options) { o.Templates = writeFiles(t, files) })
		_, err := mail.NewOutbox(nil, newSecret(t), unlimited, reveal, o, time.Now, silent)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--mail-templates") {
			t.Errorf("%v, want %q in it", err, says)
		}
	}
	o := options(func(o *mail.Options) { o.Templates = filepath.Join(t.TempDir(), "none") })
	if _, err := mail.NewOutbox(nil, newSecret(t), unlimited, reveal, o, time.Now, silent); err == nil {
		t.Error("a missing folder is ignored")
	}
}

func TestLinksKeepTheSecretFromServers(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://app.example.com/{flow}#{token}":          true,
		"https://app.example.com/#{flow}={token}":         true,
		"http://localhost:5173/app#/{flow}?token={token}": true,
		"https://app.example.com/{flow}?token={token}":    false,
		"https://app.example.com/{token}#{flow}={token}":  false,
		"https://app.example.com/#{token}":                false,
		"javascript:alert#{flow}{token}":                  false,
		"/app#{flow}={token}":                             false,
		"":                                                false,
	} {
		if _, err := mail.ParseLinks(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Users choose addresses, and some of the data. Servers and readers must see one mail with the intended headers.
func TestHostileRecipientsAndData(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{})
		o := newOutbox(t, db, through(t, server))
		refused := []string{
			"", "kim", "@example.org", "kim@", "kim@example.org\r\nBcc: eve@example.com",
			"kim@example.org>\r\nRCPT TO:<eve@example.com", "kim\n@example.org", "kim@example.org\r\n.\r\nMAIL FROM:<x@y>",
			"kim\x00@example.org", "kim @example.org", "<kim@example.org>", "kim@example.org, eve@example.com",
			"kim@example.org@example.com", "\"kim\r\n\"@example.org", "kim@exam\u2028ple.org", "kim@\u0085example.org",
			strings.Repeat("k", 250) + "@example.org", "kim\xff@example.org", "żółw@example.org",
		}
		for _, to := range refused {
			send(t, db, o, notice(to))
		}
		long := strings.Repeat("x", 5000)
		smuggled := "first\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<all@example.com>\r\n\n.\nDATA\r"
		accepted := map[string]mail.Message{
			"plain@example.org":     {Kind: mail.NewSignIn, Data: map[string]string{"device": smuggled, "ip": long, "time": "\u202Eevil\u200B\x07"}},
			"message@example.org":   {Kind: mail.Invitation, Challenge: "c1", Data: map[string]string{"message": smuggled + "\n..\n.\nFrom eve\n" + long}},
			"markup@example.org":    {Kind: mail.NewSignIn, Data: map[string]string{"device": `<script>alert(1)</script> http://evil.example`}},
			"a..b.@docomo.ne.jp":    {Kind: mail.PasswordChanged},
			"o'hara+x@example.org":  {Kind: mail.PasswordChanged},
			"kim@xn--bcher-kva.com": {Kind: mail.PasswordChanged},
		}
		for to, m := range accepted {
			m.To = strings.Replace(to, "xn--bcher-kva", "bücher", 1)
			send(t, db, o, m)
		}
		if err := mail.SendDue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT count(*) FROM mail WHERE state = 'failed'"); n != len(refused) {
			t.Errorf("%d mails failed, want %d", n, len(refused))
		}
		mails := server.Mails()
		if len(mails) != len(accepted) {
			t.Errorf("%d mails arrived, want %d", len(mails), len(accepted))
		}
		for _, m := range mails {
			if _, known := accepted[m.To]; !known || m.From != "no-reply@example.com" || m.UTF8 {
				t.Errorf("envelope: %s to %s", m.From, m.To)
			}
			head, _, _ := strings.Cut(m.Raw, "\r\n\r\n")
			for header := range strings.SplitSeq(head, "\r\n") {
				name, _, _ := strings.Cut(header, ":")
				known := []string{"Date", "MIME-Version", "Message-ID", "Subject", "Auto-Submitted", "From", "To", "Content-Type"}
				if !slices.Contains(known, name) && !strings.HasPrefix(header, " ") {
					t.Errorf("to %s: the header %q", m.To, header)
				}
			}
			rest := strings.ReplaceAll(m.Raw, "\r\n", "")
			if strings.ContainsAny(rest, "\r\n\x00\x07") {
				t.Errorf("to %s: control characters in %q", m.To, m.Raw)
			}
			for line := range strings.SplitSeq(m.Raw, "\r\n") {
				if len(line) > 998 {
					t.Errorf("to %s: a line of %d bytes", m.To, len(line))
				}
			}
		}
		message := server.WaitFor(t, "message@example.org", 1).Text(t)
		if !strings.Contains(message, "\nfirst\n.\nMAIL FROM:<eve@example.com>\nRCPT TO:<all@example.com>\n\n.\nDATA\n..\n.\nFrom eve\n") {
			t.Errorf("message: %q", message)
		}
		device := server.WaitFor(t, "plain@example.org", 1).Text(t)
		if !strings.Contains(device, "Device: first . MAIL FROM:<eve@example.com> RCPT TO:") ||
			strings.ContainsAny(device, "\u202E\u200B\x07") {
			t.Errorf("text: %q", device)
		}
		markup := server.WaitFor(t, "markup@example.org", 1)
		if strings.Contains(markup.HTML(t), "<script") || strings.Contains(markup.Text(t)+markup.HTML(t), "http://evil") {
			t.Errorf("page: %s", markup.HTML(t))
		}
	})
}

// Addresses that are not ASCII before the @ need SMTPUTF8 from the mail server; others must not require it.
func TestInternationalRecipients(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{UTF8: true})
		o := newOutbox(t, db, through(t, server))
		send(t, db, o, notice("żółw@bücher.example"), notice("kim@example.org"))
		if err := mail.SendDue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		international, plain := server.WaitFor(t, "żółw@xn--bcher-kva.example", 1), server.WaitFor(t, "kim@example.org", 1)
		if !international.UTF8 || plain.UTF8 {
			t.Errorf("SMTPUTF8: %t, %t", international.UTF8, plain.UTF8)
		}
	})
}
