package mail_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func newSecret(t *testing.T) *secret.Secret {
	t.Helper()
	s, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unlimited admits every mail.
func unlimited(*store.Tx, string) (bool, error) { return true, nil }

// reveal is the secret of every challenge.
func reveal(_ context.Context, id string) (string, error) { return "secret-of-" + id, nil }

var silent = slog.New(slog.DiscardHandler)

func options(change ...func(*mail.Options)) mail.Options {
	o := mail.Options{From: "Example <no-reply@example.com>", Development: true,
		Links: "https://app.example.com/{flow}#{token}"}
	for _, f := range change {
		f(&o)
	}
	return o
}

func newOutbox(t *testing.T, db *store.DB, change ...func(*mail.Options)) *mail.Outbox {
	t.Helper()
	o, err := mail.NewOutbox(db, newSecret(t), unlimited, reveal, options(change...), time.Now, silent)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func send(t *testing.T, db *store.DB, o *mail.Outbox, messages ...mail.Message) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		for _, m := range messages {
			if err := o.Send(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.Get(t.Context(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheTableRevealsNoRecipientAndNoData(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		send(t, db, newOutbox(t, db), mail.Message{Kind: mail.ResetPassword, To: "kim@example.org", User: "u1",
			Challenge: "c1", Data: map[string]string{"name": "Kim Possible"}})
		var row map[string]any
		rows, err := dump(t.Context(), db)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		row = rows[0]
		for column, value := range row {
			text, _ := value.(string)
			for _, never := range []string{"kim", "Possible", "secret-of"} {
				if strings.Contains(text, never) {
					t.Errorf("%s contains %s: %s", column, never, text)
				}
			}
		}
		if row["challenge"] != "c1" || row["state"] != "queued" {
			t.Errorf("row: %v", row)
		}
	})
}

// dump reads all columns of all mails.
func dump(ctx context.Context, db *store.DB) (rows []map[string]any, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	found, err := conn.QueryxContext(ctx, "SELECT * FROM mail")
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		row := map[string]any{}
		if err := found.MapScan(row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

func TestSendBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := newOutbox(t, db)
		undo := errors.New("undo")
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			return errors.Join(o.Send(tx, mail.Message{Kind: mail.PasswordChanged, To: "kim@example.org"}), undo)
		})
		if !errors.Is(err, undo) || count(t, db, "SELECT count(*) FROM mail") != 0 {
			t.Errorf("the mail of an undone transaction stays, %v", err)
		}
	})
}

func TestSendRefusesMistakes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := newOutbox(t, db)
		for name, m := range map[string]mail.Message{
			"an unknown kind":          {Kind: "unheard", To: "kim@example.org"},
			"a link without challenge": {Kind: mail.VerifyEmail, To: "kim@example.org"},
			"a challenge unused":       {Kind: mail.PasswordChanged, To: "kim@example.org", Challenge: "c1"},
		} {
			err := db.Tx(t.Context(), func(tx *store.Tx) error { return o.Send(tx, m) })
			if err == nil {
				t.Errorf("%s is sent", name)
			}
		}
	})
}

func TestMailIsOffInProductionWithoutAMailServer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := newOutbox(t, db, func(o *mail.Options) { o.Development = false })
		send(t, db, o, mail.Message{Kind: mail.PasswordChanged, To: "kim@example.org"})
		if o.Enabled() || count(t, db, "SELECT count(*) FROM mail") != 0 {
			t.Errorf("enabled: %t", o.Enabled())
		}
	})
}

func TestAFullOutboxRefusesRequestsForMail(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := newOutbox(t, db)
		admit := func() (admitted bool, err error) {
			err = db.Tx(t.Context(), func(tx *store.Tx) (err error) {
				admitted, err = o.Admit(tx, "kim@example.org")
				return err
			})
			return admitted, err
		}
		if admitted, err := admit(); !admitted || err != nil {
			t.Fatalf("admitted: %t, %v", admitted, err)
		}
		mail.SetQueued(o, mail.MaxQueued-1)
		send(t, db, o, mail.Message{Kind: mail.PasswordChanged, To: "kim@example.org"})
		if admitted, err := admit(); admitted || !fault.Is(err, fault.TooManyAttempts) {
			t.Errorf("admitted: %t, %v", admitted, err)
		}
		send(t, db, o, mail.Message{Kind: mail.PasswordChanged, To: "kim@example.org"}) // notices are still written
		if n := count(t, db, "SELECT count(*) FROM mail"); n != 2 {
			t.Errorf("%d mails", n)
		}
	})
}
