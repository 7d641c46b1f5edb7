package mail_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mail/mailtest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
)

// through selects a mail server.
func through(t *testing.T, s *mailtest.Server) func(*mail.Options) {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return func(o *mail.Options) {
		o.Server = &mail.Server{Host: u.Hostname(), Port: port, TLS: u.Query().Get("tls"), Auth: "auto",
			Username: u.User.Username(), Password: password}
	}
}

// certificate returns a certificate for 127.0.0.1, and a configuration that trusts it.
func certificate(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	pair := tlstest.NewPair(t, "mail.test")
	c, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c, tlstest.Trust(t, pair.Cert)
}

// follow runs the sender until the test ends.
func follow(t *testing.T, o *mail.Outbox) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { o.Follow(ctx) })
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
}

// sendDue makes all waiting mails due, as if time had passed, and sends them.
func sendDue(t *testing.T, db *store.DB, o *mail.Outbox) error {
	t.Helper()
	exec(t, db, "UPDATE mail SET next_at = now_us() WHERE state = 'queued'")
	mail.Resume(o)
	return mail.SendDue(t.Context(), o)
}

func exec(t *testing.T, db *store.DB, statement string, args ...any) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// states returns the states of all mails, oldest first, each with its number of attempts.
func states(t *testing.T, db *store.DB) (all []string) {
	t.Helper()
	if err := db.Select(t.Context(), &all, `SELECT state || ' ' || attempts FROM mail ORDER BY id`); err != nil {
		t.Fatal(err)
	}
	return all
}

func lastError(t *testing.T, db *store.DB) (text string) {
	t.Helper()
	if err := db.Get(t.Context(), &text, "SELECT last_error FROM mail ORDER BY id DESC LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	return text
}

func notice(to string) mail.Message { return mail.Message{Kind: mail.PasswordChanged, To: to} }

func TestAMailArrivesAfterTheCommit(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		cert, trust := certificate(t)
		server := mailtest.Start(t, mailtest.Options{TLS: "starttls", Certificate: cert, Username: "user", Password: "pass"})
		o := newOutbox(t, db, through(t, server))
		mail.Trust(o, trust)
		follow(t, o)
		send(t, db, o, mail.Message{Kind: mail.VerifyEmail, To: "Kim@bücher.example", Challenge: "c1",
			Expires: time.Date(2100, 1, 2, 3, 4, 0, 0, time.UTC)})
		m := server.WaitFor(t, "Kim@xn--bcher-kva.example", 1)
		var id string
		if err := db.Get(t.Context(), &id, "SELECT message_id FROM mail"); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{"envelope": m.From}
		for _, name := range []string{"From", "To", "Subject", "Message-Id", "Auto-Submitted", "Mime-Version", "Bcc", "Cc"} {
			got[name] = m.Header(t, name)
		}
		want := map[string]string{
			"envelope":       "no-reply@example.com",
			"From":           `"Example" <no-reply@example.com>`,
			"To":             "<Kim@xn--bcher-kva.example>",
			"Subject":        "Confirm your e-mail address for Example",
			"Message-Id":     "<" + id + ">",
			"Auto-Submitted": "auto-generated",
			"Mime-Version":   "1.0",
			"Bcc":            "", "Cc": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		const link = "https://app.example.com/verify-email#secret-of-c1"
		if m.Link(t) != link || !strings.Contains(m.HTML(t), `href="`+link+`"`) || m.UTF8 {
			t.Errorf("link %s in %s; SMTPUTF8: %t", m.Link(t), m.HTML(t), m.UTF8)
		}
		if !strings.Contains(m.Text(t), "until 2 January 2100, 03:04 UTC") {
			t.Errorf("text: %s", m.Text(t))
		}
	})
}

func TestTheMailServerIsReachedAsConfigured(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() != store.SQLite {
			return // it makes no difference
		}
		cert, trust := certificate(t)
		for _, kind := range []string{"starttls", "implicit", "none"} {
			for _, auth := range []string{"auto", "plain", "login"} {
				server := mailtest.Start(t, mailtest.Options{TLS: kind, Certificate: cert, Username: "user", Password: "pass"})
				o := newOutbox(t, db, through(t, server), func(o *mail.Options) { o.Server.Auth = auth })
				mail.Trust(o, trust)
				if err := o.Deliver(t.Context(), "kim@example.org"); err != nil || len(server.Mails()) != 1 {
					t.Errorf("tls=%s auth=%s: %v", kind, auth, err)
				}
			}
		}
	})
}

// An attacker between this server and the mail server gets neither password nor mails, and no mail is lost.
func TestAMailServerThatCannotBeTrustedGetsNothing(t *testing.T) {
	t.Parallel()
	_, trust := certificate(t)
	other, _ := certificate(t)
	for name, test := range map[string]struct{ offers, wants string }{
		"STARTTLS stripped":               {"none", "starttls"},
		"another certificate":             {"starttls", "starttls"},
		"another certificate, implicitly": {"implicit", "implicit"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				asked := atomic.Bool{}
				server := mailtest.Start(t, mailtest.Options{TLS: test.offers, Certificate: other, Username: "user",
					Password: "hunter2", OnAuth: func() error { asked.Store(true); return nil }})
				o := newOutbox(t, db, through(t, server), func(o *mail.Options) { o.Server.TLS = test.wants })
				mail.Trust(o, trust)
				send(t, db, o, notice("kim@example.org"))
				err := sendDue(t, db, o)
				if err == nil || strings.Contains(err.Error(), "hunter2") || asked.Load() || len(server.Mails()) > 0 {
					t.Errorf("%v; asked for the password: %t; %d mails", err, asked.Load(), len(server.Mails()))
				}
				if diff := cmp.Diff([]string{"queued 0"}, states(t, db)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAWrongPasswordKeepsTheMails(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{Username: "user", Password: "right"})
		wrong := newOutbox(t, db, through(t, server), func(o *mail.Options) { o.Server.Password = "hunter2" })
		send(t, db, wrong, notice("a@example.org"), notice("b@example.org"))
		if err := sendDue(t, db, wrong); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error: %v", err)
		}
		for range 5 { // the mail server is not tried for every new mail
			send(t, db, wrong, notice("c@example.org"))
			if err := mail.SendDue(t.Context(), wrong); err == nil {
				t.Error("the failure is forgotten")
			}
		}
		if n := server.Sessions(); n != 1 {
			t.Errorf("%d connections", n)
		}
		exec(t, db, "UPDATE leases SET until = now_us()")
		if err := sendDue(t, db, newOutbox(t, db, through(t, server))); err != nil {
			t.Fatal(err)
		}
		if n := len(server.Mails()); n != 7 {
			t.Errorf("%d mails with the right password", n)
		}
	})
}

func TestSeveralMailsShareAConnection(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{OnRcpt: func(to string) error {
			if to == "gone@example.org" {
				return mailtest.Code(550, "no such user")
			}
			return nil
		}})
		o := newOutbox(t, db, through(t, server))
		for i := range 120 {
			send(t, db, o, notice(fmt.Sprintf("user%d@example.org", i)))
		}
		send(t, db, o, notice("gone@example.org"), notice("last@example.org"))
		if err := sendDue(t, db, o); err != nil {
			t.Fatal(err)
		}
		if n, sessions := len(server.Mails()), server.Sessions(); n != 121 || sessions != 1 {
			t.Errorf("%d mails by %d connections", n, sessions)
		}
	})
}

// The mail server fails in a certain way for the first attempt, or for some recipients.
func TestFailuresOfTheMailServer(t *testing.T) {
	t.Parallel()
	first := func() func(error) error {
		var tried atomic.Bool
		return func(err error) error {
			if tried.Swap(true) {
				return nil
			}
			return err
		}
	}
	for name, test := range map[string]struct {
		options func(fail func(error) error) mailtest.Options
		after1  string // the state of the mail after the first attempt
		after2  string
		arrived int
	}{
		"a recipient refused for now": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnRcpt: func(string) error { return fail(mailtest.Code(451, "greylisted")) }}
		}, "queued 1", "sent 2", 1},
		"a recipient refused permanently": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnRcpt: func(string) error { return fail(mailtest.Code(550, "no such user")) }}
		}, "failed 1", "failed 1", 0},
		"a mail refused for now": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnBody: func() error { return fail(mailtest.Code(452, "no space")) }}
		}, "queued 1", "sent 2", 1},
		"a mail refused permanently": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnBody: func() error { return fail(mailtest.Code(554, "spam")) }}
		}, "failed 1", "failed 1", 0},
		"the sender refused": {func(fail func(error) error) mailtest.Options { // it can be put right, so no mail is lost
			return mailtest.Options{OnMail: func(string) error { return fail(mailtest.Code(550, "unknown sender")) }}
		}, "queued 1", "sent 2", 1},
		"the service closing": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnRcpt: func(string) error { return fail(mailtest.Code(421, "closing")) }}
		}, "queued 1", "sent 2", 1},
		"the connection cut before the answer": {func(fail func(error) error) mailtest.Options {
			return mailtest.Options{OnBody: func() error { return nil }, OnData: func(_ mailtest.Mail, conn net.Conn) error {
				err := fail(errors.New("cut"))
				if err != nil {
					_ = conn.Close()
				}
				return nil // the server keeps the mail
			}}
		}, "queued 1", "sent 2", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				server := mailtest.Start(t, test.options(first()))
				o := newOutbox(t, db, through(t, server))
				send(t, db, o, mail.Message{Kind: mail.ResetPassword, To: "kim@example.org", Challenge: "c1"})
				_ = sendDue(t, db, o) // some of the failures concern all mails
				if diff := cmp.Diff([]string{test.after1}, states(t, db)); diff != "" {
					t.Fatalf("after the first attempt: %s (%s)", diff, lastError(t, db))
				}
				if text := lastError(t, db); text == "" || strings.Contains(text, "kim@") || strings.Contains(text, "secret-of") {
					t.Errorf("error %q", text)
				}
				if err := sendDue(t, db, o); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{test.after2}, states(t, db)); diff != "" {
					t.Errorf("after the second attempt: %s", diff)
				}
				mails := server.Mails()
				if len(mails) != test.arrived {
					t.Fatalf("%d mails arrived", len(mails))
				}
				for _, m := range mails {
					if id := m.Header(t, "Message-Id"); id != mails[0].Header(t, "Message-Id") {
						t.Errorf("the copies have different ids: %s", id)
					}
				}
			})
		})
	}
}

// Replies of servers repeat what they were sent.
func TestErrorsDoNotRepeatRecipientsAndSecrets(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{OnBody: func() error {
			return mailtest.Code(550, "kim@example.org may not get https://app.example.com/reset-password#secret-of-c1 (secret-of-c1)")
		}})
		o := newOutbox(t, db, through(t, server))
		send(t, db, o, mail.Message{Kind: mail.ResetPassword, To: "kim@example.org", Challenge: "c1"})
		if err := sendDue(t, db, o); err != nil {
			t.Fatal(err)
		}
		text := lastError(t, db)
		if strings.Contains(text, "kim@") || strings.Contains(text, "secret-of") || !strings.Contains(text, "may not get") {
			t.Error(text)
		}
	})
}

// A mail server that hangs must not stop the sender forever, in any step.
func TestAMailServerThatHangs(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"greeting", "auth", "mail", "rcpt", "body", "answer"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				over := make(chan struct{})
				hang := func(at string) error {
					if at == step {
						<-over
					}
					return nil
				}
				options := mailtest.Options{
					Username: "user", Password: "pass",
					OnAuth: func() error { return hang("auth") },
					OnMail: func(string) error { return hang("mail") },
					OnRcpt: func(string) error { return hang("rcpt") },
					OnBody: func() error { return hang("body") },
					OnData: func(mailtest.Mail, net.Conn) error { return hang("answer") },
				}
				server := mailtest.Start(t, options)
				t.Cleanup(func() { close(over) }) // before the server stops
				choose := through(t, server)
				if step == "greeting" {
					mute, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = mute.Close() }()
					choose = func(o *mail.Options) {
						o.Server = &mail.Server{Host: "127.0.0.1", Port: mute.Addr().(*net.TCPAddr).Port, TLS: "none", Auth: "auto"}
					}
				}
				o := newOutbox(t, db, choose)
				mail.Hurry(o, 200*time.Millisecond)
				send(t, db, o, notice("kim@example.org"))
				done := make(chan error, 1)
				go func() { done <- sendDue(t, db, o) }()
				select {
				case <-done:
				case <-time.After(time.Minute):
					t.Fatal("the sender hangs")
				}
				if state := states(t, db)[0]; !strings.HasPrefix(state, "queued") {
					t.Errorf("the mail is %s", state)
				}
			})
		})
	}
}

// A stopping server does not wait for a mail server that hangs.
func TestTheSenderStopsDuringADelivery(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		over, reached := make(chan struct{}), make(chan struct{}, 1)
		server := mailtest.Start(t, mailtest.Options{OnRcpt: func(string) error {
			reached <- struct{}{}
			<-over
			return nil
		}})
		t.Cleanup(func() { close(over) })
		o := newOutbox(t, db, through(t, server))
		send(t, db, o, notice("kim@example.org"))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- mail.SendDue(ctx, o) }()
		<-reached
		stop()
		select {
		case <-done:
		case <-time.After(25 * time.Second): // the timeout of the step is 30 s
			t.Fatal("the sender does not stop")
		}
	})
}

// After a crash in the middle of a delivery, another attempt sends the same mail.
func TestACrashDuringADeliveryRepeatsThatMailOnly(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{})
		o := newOutbox(t, db, through(t, server))
		send(t, db, o, notice("a@example.org"), notice("b@example.org"))
		if err := sendDue(t, db, o); err != nil {
			t.Fatal(err)
		}
		// The process was killed before it recorded the outcome of a.
		exec(t, db, `UPDATE mail SET state = 'queued', ended_at = NULL, next_at = now_us() + 300000000
			WHERE id = (SELECT min(id) FROM mail)`)
		restarted := newOutbox(t, db, through(t, server))
		exec(t, db, "UPDATE leases SET until = now_us()")
		if err := mail.SendDue(t.Context(), restarted); err != nil || len(server.Mails()) != 2 {
			t.Fatalf("%d mails while the claim lasts, %v", len(server.Mails()), err)
		}
		if err := sendDue(t, db, restarted); err != nil {
			t.Fatal(err)
		}
		first, again := server.WaitFor(t, "a@example.org", 1), server.WaitFor(t, "a@example.org", 2)
		if first.Header(t, "Message-Id") != again.Header(t, "Message-Id") || len(server.Mails()) != 3 {
			t.Errorf("%d mails", len(server.Mails()))
		}
	})
}

// Replicas take turns: together they send each mail once.
func TestReplicasSendEachMailOnce(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		server := mailtest.Start(t, mailtest.Options{})
		const replicas, each = 4, 25
		var group sync.WaitGroup
		for replica := range replicas {
			db := storetest.Open(t, url)
			o := newOutbox(t, db, through(t, server))
			follow(t, o)
			group.Go(func() {
				for i := range each {
					send(t, db, o, notice(fmt.Sprintf("user%d.%d@example.org", replica, i)))
				}
			})
		}
		group.Wait()
		mails := server.Wait(t, func(mails []mailtest.Mail) bool { return len(mails) >= replicas*each })
		to := map[string]int{}
		for _, m := range mails {
			to[m.To]++
		}
		if len(to) != replicas*each || slices.Max(slices.Collect(maps.Values(to))) > 1 {
			t.Errorf("%d mails to %d recipients", len(mails), len(to))
		}
	})
}

// Without their secret or after their time, mails are useless.
func TestUselessMailsAreNotSent(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{})
		used := false
		o, err := mail.NewOutbox(db, newSecret(t), unlimited, func(context.Context, string) (string, error) {
			if used {
				return "", nil
			}
			return "", errors.New("the database is down")
		}, options(through(t, server)), time.Now, silent)
		if err != nil {
			t.Fatal(err)
		}
		send(t, db, o, mail.Message{Kind: mail.LoginCode, To: "a@example.org", Challenge: "c1"},
			mail.Message{Kind: mail.LoginCode, To: "b@example.org", Challenge: "c2", Expires: time.Now().Add(-time.Second)})
		if err := sendDue(t, db, o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"queued 1", "queued 0"}, states(t, db)); diff != "" {
			t.Error(diff)
		}
		used = true
		if err := errors.Join(sendDue(t, db, o), o.Prune(t.Context())); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"expired 2", "expired 0"}, states(t, db)); diff != "" {
			t.Error(diff)
		}
		if n := len(server.Mails()); n != 0 {
			t.Errorf("%d mails arrived", n)
		}
		exec(t, db, "UPDATE mail SET ended_at = ended_at - 604800000000 WHERE attempts = 2")
		if err := o.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"expired 0"}, states(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheQueueIsMeasured(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		server := mailtest.Start(t, mailtest.Options{})
		var ended []string
		o := newOutbox(t, db, through(t, server), func(o *mail.Options) {
			o.OnEnd = func(kind mail.Kind, state mail.State) { ended = append(ended, string(kind)+" "+string(state)) }
		})
		send(t, db, o, notice("a@example.org"), notice("b@example.org"))
		exec(t, db, "UPDATE mail SET created_at = created_at - 3600000000")
		if err := mail.Count(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if n, age := o.Queued(), o.Oldest(); n != 2 || age < time.Hour || age > 2*time.Hour {
			t.Errorf("%d mails wait, for %s", n, age)
		}
		if err := errors.Join(sendDue(t, db, o), mail.Count(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
		if n, age := o.Queued(), o.Oldest(); n != 0 || age != 0 {
			t.Errorf("%d mails wait, for %s", n, age)
		}
		if diff := cmp.Diff([]string{"password-changed sent", "password-changed sent"}, ended); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOperatorsSeeAndRetryMails(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		refusing := atomic.Bool{}
		refusing.Store(true)
		server := mailtest.Start(t, mailtest.Options{OnRcpt: func(string) error {
			if refusing.Load() {
				return mailtest.Code(550, "over quota")
			}
			return nil
		}})
		o := newOutbox(t, db, through(t, server))
		send(t, db, o, mail.Message{Kind: mail.ResetPassword, To: "kim@example.org", User: "u1", Challenge: "c1"})
		if err := sendDue(t, db, o); err != nil {
			t.Fatal(err)
		}
		list, err := o.List(t.Context(), mail.Failed, 10)
		if err != nil || len(list) != 1 || list[0].To != "kim@example.org" || !strings.Contains(list[0].LastError, "over quota") {
			t.Fatalf("%+v, %v", list, err)
		}
		if others, err := o.List(t.Context(), mail.Sent, 10); err != nil || len(others) != 0 {
			t.Errorf("%+v, %v", others, err)
		}
		refusing.Store(false)
		if err := o.Retry(t.Context(), list[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := mail.SendDue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		shown, err := o.Show(t.Context(), list[0].ID)
		if err != nil || shown.State != mail.Sent || shown.Attempts != 2 {
			t.Errorf("%+v, %v", shown, err)
		}
		if o.Retry(t.Context(), list[0].ID) == nil {
			t.Error("a sent mail is sent again")
		}
		if _, err := o.Show(t.Context(), "unheard"); err == nil {
			t.Error("an unknown mail is shown")
		}
		if err := db.Tx(t.Context(), func(tx *store.Tx) error { return o.Forget(tx, "u1") }); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT count(*) FROM mail"); n != 0 {
			t.Errorf("%d mails of a deleted account", n)
		}
	})
}

// Without a mail server, the log is where a developer finds links and codes.
func TestDevelopmentLogsTheLinkOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		for _, development := range []bool{true, false} {
			server := mailtest.Start(t, mailtest.Options{})
			var logged bytes.Buffer
			o, err := mail.NewOutbox(db, newSecret(t), unlimited, reveal, options(func(o *mail.Options) {
				if !development {
					through(t, server)(o)
				}
			}), time.Now, slog.New(slog.NewTextHandler(&logged, nil)))
			if err != nil {
				t.Fatal(err)
			}
			exec(t, db, "DELETE FROM leases")
			send(t, db, o, mail.Message{Kind: mail.VerifyEmail, To: "kim@example.org", Challenge: "c1"},
				mail.Message{Kind: mail.LoginCode, To: "kim@example.org", Challenge: "c2"})
			if err := mail.SendDue(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want := 0
			if development {
				want = 1
			}
			for _, secret := range []string{"verify-email#secret-of-c1", "secret-of-c2"} {
				if n := strings.Count(logged.String(), secret); n != want {
					t.Errorf("the log has %s %d times, want %d: %s", secret, n, want, &logged)
				}
			}
		}
		if diff := cmp.Diff([]string{"sent 1", "sent 1", "sent 1", "sent 1"}, states(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}
