package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// viewOf returns another view of a server's database, like that of another replica, polled once.
func viewOf(tb testing.TB, srv *apptest.Server) *session.View {
	tb.Helper()
	v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: srv.App.Config.ClockSkew}, srv.Now)
	poll(tb, v)
	return v
}

func poll(tb testing.TB, v *session.View) {
	tb.Helper()
	if err := v.Poll(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// wantReason checks the reason for which v refuses a token; empty if v accepts it.
func wantReason(tb testing.TB, v *session.View, c token.Claims, want fault.Reason) {
	tb.Helper()
	got, err := v.Check(tb.Context(), &c)
	if err != nil || got != want {
		tb.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func claimsOf(c *apptest.Client, version int64) token.Claims {
	return token.Claims{UserID: c.UserID, SessionID: c.SessionID, Version: version, Roles: []token.Role{"USER"}}
}

// revokedSession inserts a revocation as another replica would, and returns a token that it revokes.
func revokedSession(tb testing.TB, srv *apptest.Server, age, life time.Duration) token.Claims {
	tb.Helper()
	c := token.Claims{UserID: token.UserID(uuid.NewString()), SessionID: token.SessionID(uuid.NewString()), Version: 1}
	srv.Exec(tb, `INSERT INTO revocations (id, session_id, stale, created_at, expires_at)
		VALUES ($1, $2, FALSE, now_us() - $3, now_us() + $4)`,
		uuid.NewString(), c.SessionID, age.Microseconds(), life.Microseconds())
	return c
}

func inTx(tb testing.TB, srv *apptest.Server, f func(tx *store.Tx) error) {
	tb.Helper()
	if err := srv.App.DB.Tx(tb.Context(), f); err != nil {
		tb.Fatal(err)
	}
}

func TestANewViewReadsOldRevocations(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := revokedSession(t, srv, 50*time.Minute, 10*time.Minute)
		wantReason(t, viewOf(t, srv), c, fault.TokenRevoked)
	})
}

func TestViewReadsLateCommits(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v, c := viewOf(t, srv), srv.As(t)
		inTx(t, srv, func(tx *store.Tx) error {
			if err := srv.App.Sessions.MarkStale(tx, c.UserID); err != nil {
				return err
			}
			for range 3 { // it is written but not yet committed
				poll(t, v)
			}
			wantReason(t, v, claimsOf(c, 1), "")
			return nil
		})
		poll(t, v)
		wantReason(t, v, claimsOf(c, 1), fault.TokenStale)

		late := revokedSession(t, srv, 30*time.Second, time.Hour)
		poll(t, v)
		wantReason(t, v, late, fault.TokenRevoked)
	})
}

// While a machine sleeps, its monotonic clock stands still. Only the database's clock shows how much was missed.
func TestViewReadsAllAfterASleep(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v := viewOf(t, srv)
		missed := revokedSession(t, srv, 20*time.Minute, 10*time.Minute)
		poll(t, v)
		wantReason(t, v, missed, "")
		v.Sleep(20 * time.Minute)
		poll(t, v)
		wantReason(t, v, missed, fault.TokenRevoked)
	})
}

func TestAnOutdatedViewIsUnavailable(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		var offset atomic.Int64
		v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Hour}, func() time.Time {
			return time.Now().Add(time.Duration(offset.Load()))
		})
		c := token.Claims{UserID: "u", SessionID: "s"}
		refused := func(when string) {
			t.Helper()
			_, err := v.Check(t.Context(), &c)
			f := fault.As(err)
			if f == nil || f.Code != fault.Unavailable || f.Reason != fault.RevocationViewStale || f.RetryAfter <= 0 {
				t.Errorf("%s: got %v, want UNAVAILABLE with a retryAfter", when, err)
			}
		}
		hide(t, srv, "revocations")
		refused("before the first poll")
		show(t, srv, "revocations")
		revoked := revokedSession(t, srv, 0, time.Hour)
		poll(t, v)
		hide(t, srv, "revocations")
		offset.Store(int64(session.MaxViewAge - time.Second))
		wantReason(t, v, c, "")
		offset.Store(int64(session.MaxViewAge + time.Second))
		refused("after its age")
		wantReason(t, v, revoked, fault.TokenRevoked) // known revocations stay known
		if err := v.Poll(t.Context()); err == nil {
			t.Error("a poll of a missing table succeeded")
		}
		refused("after a failed poll")
		show(t, srv, "revocations")
		poll(t, v)
		wantReason(t, v, c, "")
	})
}

// hide renames a table, so that every query of it fails until show.
func hide(tb testing.TB, srv *apptest.Server, table string) {
	tb.Helper()
	srv.Exec(tb, "ALTER TABLE "+table+" RENAME TO "+table+"_hidden")
}

func show(tb testing.TB, srv *apptest.Server, table string) {
	tb.Helper()
	srv.Exec(tb, "ALTER TABLE "+table+"_hidden RENAME TO "+table)
}

func TestViewAgesByTheMonotonicClock(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	var wall atomic.Int64
	v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Minute}, func() time.Time {
		return apptest.SetWall(time.Now(), time.Duration(wall.Load()))
	})
	poll(t, v)
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		wall.Store(int64(jump))
		if age := v.Age(); age < 0 || age > time.Minute {
			t.Errorf("after the wall clock jumped by %s, the view is %s old", jump, age)
		}
	}
}

func TestViewOverflow(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Minute}, srv.Now)
		v.SetMax(2)
		var revoked []token.Claims
		for range 5 {
			revoked = append(revoked, revokedSession(t, srv, 0, time.Hour))
		}
		innocent := token.Claims{UserID: "u", SessionID: "s"}
		for range 2 { // the second poll reads only new rows
			poll(t, v)
			for _, c := range revoked {
				wantReason(t, v, c, fault.TokenRevoked)
			}
			wantReason(t, v, innocent, "")
		}
		if v.Size() > 2 {
			t.Errorf("%d subjects, want at most 2", v.Size())
		}
		hide(t, srv, "revocations")
		if _, err := v.Check(t.Context(), &innocent); err == nil {
			t.Error("a token is accepted although the database cannot be read")
		}
		show(t, srv, "revocations")
		v.SetMax(5)
		v.SweepNow()
		poll(t, v)
		hide(t, srv, "revocations") // with room for all entries, the view does not need the database
		for _, c := range revoked {
			wantReason(t, v, c, fault.TokenRevoked)
		}
		wantReason(t, v, innocent, "")
		show(t, srv, "revocations")
		poll(t, v) // a view that is exactly full does not overflow when it reads the same rows again
		hide(t, srv, "revocations")
		wantReason(t, v, innocent, "")
		show(t, srv, "revocations")
	})
}

func TestRevocationHoldsWhileTheViewOverflows(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v := srv.App.View
		v.SetMax(3)
		clients := make([]*apptest.Client, 8)
		for i := range clients {
			clients[i] = srv.As(t)
		}
		atOnce(t, 2*len(clients), func(i int) error {
			if i >= len(clients) {
				v.SetMax(3 + i%2)
				v.SweepNow()
				return v.Poll(t.Context())
			}
			c := clients[i]
			if _, err := srv.App.Sessions.Revoke(t.Context(), c.SessionID, audit.Actor{Claims: claimsOf(c, 1)}); err != nil {
				return err
			}
			wantReason(t, v, claimsOf(c, 1), fault.TokenRevoked)
			return nil
		})
	})
}

func TestViewForgetsExpiredEntries(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		var monotonic, wall atomic.Int64
		v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: 12 * time.Hour}, func() time.Time {
			return apptest.SetWall(srv.Now().Add(time.Duration(monotonic.Load())), time.Duration(wall.Load()))
		})
		const life = 26 * time.Hour // longer than the life of a token plus twice MaxSkew
		old := 2 * time.Minute      // too old to be read by another poll
		revokedSession(t, srv, old, life)
		srv.Exec(t, `INSERT INTO revocations (id, user_id, below_version, stale, created_at, expires_at)
			VALUES ($1, $2, 2, FALSE, now_us() - $3, now_us())`,
			uuid.NewString(), token.UserID(uuid.NewString()), old.Microseconds())
		sweep := func(want int, when string) {
			t.Helper()
			v.SweepNow()
			poll(t, v)
			if v.Size() != want {
				t.Errorf("%s: %d subjects, want %d", when, v.Size(), want)
			}
		}
		sweep(2, "at the start")
		wall.Store(int64(life))
		sweep(2, "when only the wall clock was set")
		wall.Store(-int64(life))
		monotonic.Store(int64(life))
		sweep(2, "when the wall clock went back")
		wall.Store(0)
		sweep(0, "by both clocks")
	})
}

func TestVersionsOfAUser(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		views := func(t *testing.T, check func(v *session.View)) { // on this replica and on another
			t.Helper()
			check(srv.App.View)
			check(viewOf(t, srv))
		}
		t.Run("all but one ended", func(t *testing.T) {
			c := srv.As(t)
			other := c.Login(t)
			inTx(t, srv, func(tx *store.Tx) error {
				_, err := srv.App.Sessions.EndAll(tx, c.UserID, c.SessionID)
				return err
			})
			views(t, func(v *session.View) {
				wantReason(t, v, claimsOf(c, 1), fault.TokenStale)
				wantReason(t, v, claimsOf(other, 1), fault.TokenRevoked)
				wantReason(t, v, claimsOf(c, version(t, srv, c.UserID)), "")
			})
		})
		t.Run("stale, then ended", func(t *testing.T) {
			c := srv.As(t)
			inTx(t, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, c.UserID) })
			views(t, func(v *session.View) {
				wantReason(t, v, claimsOf(c, 1), fault.TokenStale)
				wantReason(t, v, claimsOf(c, version(t, srv, c.UserID)), "")
			})
			stale := version(t, srv, c.UserID)
			inTx(t, srv, func(tx *store.Tx) error {
				_, err := srv.App.Sessions.EndAll(tx, c.UserID, "")
				return err
			})
			views(t, func(v *session.View) {
				wantReason(t, v, claimsOf(c, 1), fault.TokenRevoked)
				wantReason(t, v, claimsOf(c, stale), fault.TokenRevoked)
				wantReason(t, v, claimsOf(c, version(t, srv, c.UserID)), "")
			})
		})
		t.Run("merged, however often they are raised and read", func(t *testing.T) {
			c := srv.As(t)
			for range 5 {
				inTx(t, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, c.UserID) })
			}
			v := viewOf(t, srv)
			size := v.Size()
			for range 3 {
				poll(t, v)
			}
			if v.Size() != size || v.Rows(c.UserID) != 1 {
				t.Errorf("%d subjects became %d, with %d rows of the user: want one", size, v.Size(), v.Rows(c.UserID))
			}
			raised := version(t, srv, c.UserID)
			wantReason(t, v, claimsOf(c, raised-1), fault.TokenStale)
			wantReason(t, v, claimsOf(c, raised), "")
		})
		t.Run("not raised by a transaction that rolls back", func(t *testing.T) {
			c := srv.As(t)
			_ = srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
				if _, err := srv.App.Sessions.EndAll(tx, c.UserID, ""); err != nil {
					return err
				}
				return fault.New(fault.Conflict, fault.EmailTaken, "rolled back")
			})
			views(t, func(v *session.View) { wantReason(t, v, claimsOf(c, 1), "") })
			wantAlive(t, srv, c.AccessToken, c.RefreshToken)
		})
	})
}
