package session_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

func BenchmarkRefresh(b *testing.B) {
	storetest.RunB(b, func(b *testing.B, db *store.DB) {
		key, err := secret.New("a secret for tests, of more than 32 bytes")
		if err != nil {
			b.Fatal(err)
		}
		ring, err := token.OpenRing(b.Context(), db, key, token.RingOptions{
			Algorithm: "ES256", RotateEvery: 24 * time.Hour, Overlap: time.Hour, TokenLife: time.Hour, Now: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		issuer := token.NewIssuer(ring, "iss", "aud", time.Hour, time.Now)
		view := session.NewView(db, session.ViewOptions{MaxSkew: time.Minute}, time.Now)
		rates := throttle.Rates{throttle.Refresh: {Burst: 1_000_000, Per: time.Minute}}
		sessions := session.NewService(db, issuer, key, view, throttle.New(db, key, rates, time.Now),
			session.Options{IdleLife: time.Hour, MaxLife: time.Hour, Grace: 10 * time.Second})
		var grant *session.Grant
		err = db.Tx(b.Context(), func(tx *store.Tx) (err error) {
			_, err = tx.Exec(`INSERT INTO users (id, email, email_key, email_verified, name, roles, version,
					created_at, updated_at)
				VALUES ('u', 'e', 'e', FALSE, '', 'USER', 1, 0, 0)`)
			if err != nil {
				return err
			}
			subject := session.Subject{ID: "u", Roles: []token.Role{"USER"}, Version: 1}
			grant, err = sessions.Start(tx, subject, []string{"pwd"}, audit.Actor{})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if grant, err = sessions.Refresh(b.Context(), *grant.RefreshToken, audit.Actor{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCheck measures the revocation check of a guarded request, with ten thousand revoked sessions in the view.
func BenchmarkCheck(b *testing.B) {
	srv := apptest.Start(b)
	srv.Exec(b, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
		INSERT INTO revocations (id, session_id, stale, created_at, expires_at)
		SELECT 'r' || n, 's' || n, FALSE, now_us(), now_us() + 3600000000 FROM numbers`)
	start := time.Now()
	v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Hour}, func() time.Time {
		_ = time.Now() // the cost of reading a clock; the view stays young
		return start
	})
	poll(b, v)
	if v.Size() != 10000 {
		b.Fatalf("%d subjects", v.Size())
	}
	c := token.Claims{UserID: token.UserID(uuid.NewString()), SessionID: token.SessionID(uuid.NewString()), Version: 1}
	b.ReportAllocs()
	for b.Loop() {
		if reason, err := v.Check(b.Context(), &c); reason != "" || err != nil {
			b.Fatal(reason, err)
		}
	}
}

// BenchmarkMark measures Mark of a verified token that is already marked.
func BenchmarkMark(b *testing.B) {
	srv := apptest.Start(b)
	c := srv.As(b)
	a := activityOf(b, srv, srv.Now)
	mark := &token.Claims{SessionID: c.SessionID, Generation: 1}
	a.Mark(mark)
	flush(b, a)
	b.ReportAllocs()
	for b.Loop() {
		a.Mark(mark)
	}
}
