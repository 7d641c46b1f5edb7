package session_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// followNotified runs v and its database's listener until the test ends. v polls only when notified.
func followNotified(t *testing.T, v *session.View, db *store.DB) {
	t.Helper()
	v.SetPollEvery(time.Hour)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log := slog.New(slog.DiscardHandler)
	var following sync.WaitGroup
	following.Go(func() { v.Follow(ctx, log) })
	following.Go(func() { db.Listen(ctx, log) })
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
}

// SQLite has no other replica, but takes the same path through the store.
func TestANotificationWakesTheViewOfAnotherReplica(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		db := srv.App.DB
		if db.Dialect() == store.Postgres {
			db = storetest.Open(t, srv.App.Config.Database)
		}
		v := session.NewView(db, session.ViewOptions{MaxSkew: time.Minute}, srv.Now)
		poll(t, v)
		followNotified(t, v, db)
		c := srv.As(t)
		if db.Dialect() == store.Postgres { // retry until it listens, because earlier notifications are lost
			first := srv.As(t)
			webtest.Eventually(t, "the other replica is notified", func() bool {
				inTx(t, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, first.UserID) })
				claims := claimsOf(first, 1)
				reason, _ := v.Check(t.Context(), &claims)
				return reason != ""
			})
		}
		if _, err := srv.App.Sessions.Revoke(t.Context(), c.SessionID, audit.Actor{Claims: claimsOf(c, 1)}); err != nil {
			t.Fatal(err)
		}
		claims := claimsOf(c, 1)
		webtest.Eventually(t, "the other replica knows the revocation", func() bool {
			reason, _ := v.Check(t.Context(), &claims)
			return reason != ""
		})
	})
}

func TestAStormOfNotificationsLeavesTimeForOthers(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	var asked atomic.Int64 // readings of the clock, five per poll
	v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Minute}, func() time.Time {
		asked.Add(1)
		return time.Now()
	})
	poll(t, v)
	followNotified(t, v, srv.App.DB)
	start := time.Now()
	for asked.Load() < 50 || time.Since(start) < 100*time.Millisecond {
		inTx(t, srv, func(tx *store.Tx) error { return tx.Notify("revocations") })
	}
	polls, most := asked.Load()/5, int64(time.Since(start)/(2*time.Millisecond))+2
	if polls > most {
		t.Errorf("%d polls, but a pause of 2 ms allows %d", polls, most)
	}
}
