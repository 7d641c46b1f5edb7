package cli_test

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mail/mailtest"
	"github.com/graphwarden/graphwarden/internal/store"
)

func TestOperatorsLookAfterMails(t *testing.T) {
	t.Parallel()
	var accepts atomic.Bool
	server := mailtest.Start(t, mailtest.Options{OnRcpt: func(string) error {
		if accepts.Load() {
			return nil
		}
		return mailtest.Code(550, "over quota")
	}})
	database := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	srv := apptest.Start(t, apptest.Database(database), func(o *apptest.Options) {
		o.Config.SMTPURL, o.Config.MailFrom = config.SMTPURL(server.URL), "no-reply@example.com"
	})
	command := func(args ...string) string {
		t.Helper()
		return run(t, "", append([]string{"--database", database, "--secret", srv.App.Config.Secret,
			"--smtp-url", server.URL, "--mail-from", "no-reply@example.com"}, args...)...)
	}
	err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
		return srv.App.Mail.Send(tx, mail.Message{Kind: mail.NewSignIn, To: "kim@example.org",
			Data: map[string]string{"device": "Firefox\n"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var list string
	for !strings.Contains(list, "failed") { // the test's timeout bounds it
		list = command("mail", "list")
	}
	if !strings.Contains(list, "kim@example.org") || !strings.Contains(list, "over quota") {
		t.Error(list)
	}
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	shown := command("mail", "show", id)
	for _, want := range []string{"kim@example.org", "new-sign-in", `"Firefox\n"`, "failed", "over quota", id + "@example.com"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %s", want, shown)
		}
	}
	accepts.Store(true)
	command("mail", "retry", id)
	server.WaitFor(t, "kim@example.org", 1)
	if out := command("mail", "test", "lee@example.org"); !strings.Contains(out, "accepted a mail to lee@example.org") {
		t.Error(out)
	}
	server.WaitFor(t, "lee@example.org", 1)
}
