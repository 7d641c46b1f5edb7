package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mail/mailtest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/schema"
)

func TestProductionRefusesUnsafeMail(t *testing.T) {
	t.Parallel()
	const from = "--mail-from=Example <no-reply@example.com>"
	for _, test := range []struct {
		args   []string
		check  string
		accept string
	}{
		{[]string{"--smtp-url=smtp://u:hunter2@mail.example.com"}, "", ""},
		{[]string{"--smtp-url=smtps://u:hunter2@mail.example.com"}, "", ""},
		{[]string{"--smtp-url=smtp://localhost:25?tls=none"}, "", ""},
		{[]string{"--smtp-url=smtp://127.0.0.1:25?tls=none"}, "", ""},
		{[]string{"--smtp-url=smtp://u:hunter2@mail.example.com?tls=none"}, "mail TLS", "--insecure-smtp"},
		{
			[]string{"--smtp-url=smtp://mail.example.com", "--links-base=http://app.example.com/{flow}#{token}"},
			"mail links TLS", "--insecure-http",
		},
		{
			[]string{"--smtp-url=smtp://mail.example.com", "--links-base=https://app.example.com/{flow}?{token}"},
			"mail links", "",
		},
	} {
		args := production(t, append(test.args, from)...)
		checks := app.Checks(settings(t, args...))
		var want []string
		if test.check != "" {
			want = []string{test.check}
		}
		if diff := cmp.Diff(want, failing(checks)); diff != "" {
			t.Errorf("%q: %s", test.args, diff)
		}
		if text := strings.Join(app.Refusals(checks), "\n"); strings.Contains(text, "hunter2") {
			t.Error(text)
		}
		if test.accept != "" {
			if got := app.Refusals(app.Checks(settings(t, append(args, test.accept)...))); got != nil {
				t.Errorf("%q %s: %q", test.args, test.accept, got)
			}
		}
	}
}

// sendMail writes a mail as a flow does.
func sendMail(t *testing.T, srv *apptest.Server, m mail.Message) {
	t.Helper()
	err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error { return srv.App.Mail.Send(tx, m) })
	if err != nil {
		t.Fatal(err)
	}
}

// The preview shows links and codes that open accounts.
func TestThePreviewOfMailsIsForThisMachineInDevelopment(t *testing.T) {
	t.Parallel()
	notice := mail.Message{Kind: mail.NewSignIn, To: "kim@example.org", Data: map[string]string{"device": "<b>Netscape</b>"}}
	preview := func(srv *apptest.Server, change func(*http.Request)) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/dev/mail", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	unchanged := func(*http.Request) {}
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		sendMail(t, srv, notice)
		await(t, "the preview shows the mail", func() bool {
			_, body := preview(srv, unchanged)
			return strings.Contains(body, "kim@example.org")
		})
		response, body := preview(srv, unchanged)
		if strings.Contains(body, "<b>Netscape") || !strings.Contains(body, "<iframe sandbox srcdoc=") {
			t.Error(body)
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") {
			t.Errorf("policy: %s", policy)
		}
		for name, change := range map[string]func(*http.Request){
			"a name that resolves to this machine": func(r *http.Request) { r.Host = "evil.example" },
			"a proxy":                              func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
			"a tunnel":                             func(r *http.Request) { r.Host = "abc.tunnel.example:443" },
		} {
			response, body := preview(srv, change)
			if response.StatusCode != http.StatusNotFound || strings.Contains(body, "kim@") {
				t.Errorf("%s: status %d, %s", name, response.StatusCode, body)
			}
		}
	})
	server := mailtest.Start(t, mailtest.Options{})
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		sendMail(t, srv, notice)
		server.WaitFor(t, "kim@example.org", 1)
		response, body := preview(srv, unchanged)
		if response.StatusCode != http.StatusNotFound || strings.Contains(body, "kim@") {
			t.Errorf("in production: status %d, %s", response.StatusCode, body)
		}
	}, func(o *apptest.Options) {
		o.Config.Production, o.Config.MailFrom, o.Config.SMTPURL = true, "no-reply@example.com", config.SMTPURL(server.URL)
	})
}

func TestDoctorConnectsToTheMailServer(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t, mailtest.Options{Username: "user", Password: "right"})
	sdl, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	check := func(password string) app.Check {
		t.Helper()
		c := settings(t, production(t, "--mail-from=no-reply@example.com",
			"--smtp-url="+strings.Replace(server.URL, ":right@", ":"+password+"@", 1))...)
		for _, check := range app.Diagnose(t.Context(), c, sdl, time.Now) {
			if check.Name == "mail server" {
				return check
			}
		}
		t.Fatal("the mail server is not checked")
		return app.Check{}
	}
	if c := check("right"); !c.OK {
		t.Errorf("%+v", c)
	}
	if c := check("hunter2"); c.OK || c.Fails() || strings.Contains(c.Bad, "hunter2") {
		t.Errorf("with a wrong password: %+v", c)
	}
	server.Stop()
	if c := check("right"); c.OK || c.Fails() {
		t.Errorf("stopped: %+v", c)
	}
	if n := len(server.Mails()); n != 0 {
		t.Errorf("doctor sent %d mails", n)
	}
}

func TestMailSettingsThatStopTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "verify-email.txt"), []byte("Subject: x\n\n{{.Link"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"verify-email.txt": {"--mail-templates=" + dir},
		"{token}":          {"--links-base=https://app.example.com/{flow}?{token}"},
		"--mail-from":      {"--smtp-url=smtp://u:hunter2@mail.example.com"},
		"--smtp-url":       {"--smtp-url=smtp://u:hunter2@mail.example.com:x", "--mail-from=a@example.com"},
	} {
		refused(t, t.TempDir(), append(args, "--listen=127.0.0.1:0"), says)
	}
}

func TestNoMailIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	killedWhileSending(t, 5)
}

// killedWhileSending kills the server while it sends. Every mail whose transaction was committed arrives, and a kill
// duplicates no mail but the one that was being delivered.
func killedWhileSending(t *testing.T, kills int) {
	t.Helper()
	const burst = 20
	sending := make(chan struct{}, 2*burst)
	mails := mailtest.Start(t, mailtest.Options{OnBody: func() error {
		select {
		case sending <- struct{}{}:
		default:
		}
		return nil
	}})
	dir := t.TempDir()
	args := []string{
		"--database=sqlite:" + filepath.Join(dir, "test.db"), "--secret=" + longSecret,
		"--smtp-url=" + mails.URL, "--mail-from=no-reply@example.com",
	}
	writer, err := app.Open(t.Context(), settings(t, args...), app.Writes, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	written := 0
	write := func(tx *store.Tx) error {
		for range burst {
			written++
			m := mail.Message{Kind: mail.PasswordChanged, To: fmt.Sprintf("user%d@example.org", written)}
			if err := writer.Mail.Send(tx, m); err != nil {
				return err
			}
		}
		// The claims and the lease of the killed server end.
		if _, err := tx.Exec("UPDATE mail SET next_at = now_us() WHERE state = 'queued'"); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE leases SET until = now_us() WHERE name = 'mail'")
		return err
	}
	for range kills {
		if err := writer.DB.Tx(t.Context(), write); err != nil {
			t.Fatal(err)
		}
		s := serve(t, dir, args...)
		for range 1 + rand.IntN(burst) {
			<-sending
		}
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.exited
	}
	if err := writer.DB.Tx(t.Context(), write); err != nil {
		t.Fatal(err)
	}
	defer serve(t, dir, args...).stop(t)
	arrived := map[string]string{} // Message-ID by recipient
	all := mails.Wait(t, func(all []mailtest.Mail) bool {
		for _, m := range all {
			arrived[m.To] = m.Header(t, "Message-Id")
		}
		return len(arrived) == written
	})
	if len(all) > written+kills {
		t.Errorf("%d mails became %d by %d kills", written, len(all), kills)
	}
	for _, m := range all {
		if id := m.Header(t, "Message-Id"); id != arrived[m.To] {
			t.Errorf("the copies of a mail have the ids %s and %s", id, arrived[m.To])
		}
	}
}
