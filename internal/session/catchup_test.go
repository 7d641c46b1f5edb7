package session_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// aging returns a view that is not polled, and a function that advances its clock.
func aging(t *testing.T, db *store.DB) (v *session.View, age func(d time.Duration)) {
	t.Helper()
	var offset atomic.Int64
	v = session.NewView(db, session.ViewOptions{MaxSkew: time.Hour}, func() time.Time {
		return time.Now().Add(time.Duration(offset.Load()))
	})
	poll(t, v)
	return v, func(d time.Duration) { offset.Add(int64(d)) }
}

// A process that was paused has not polled in the meantime.
func TestAnOldViewIsReadOnceForAllWaiters(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		db := storetest.Open(t, srv.App.Config.Database) // used by v only
		v, age := aging(t, db)
		for _, d := range []time.Duration{session.MaxViewAge + time.Second, 2 * time.Second} {
			age(d)
			revoked, other := revokedSession(t, srv, 0, time.Hour), token.Claims{UserID: "u", SessionID: "s"}
			before := db.Statements()
			var group errgroup.Group
			for range 100 {
				for _, test := range []struct {
					claims token.Claims
					want   fault.Reason
				}{{revoked, fault.TokenRevoked}, {other, ""}} {
					group.Go(func() error {
						got, err := v.Check(t.Context(), &test.claims)
						if got != test.want {
							t.Errorf("view %s old: %q, %v; want %q", d, got, err, test.want)
						}
						return err
					})
				}
			}
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			if n := db.Statements() - before; n > 2 {
				t.Errorf("view %s old: %d statements for one read", d, n)
			}
		}
	})
}

// While the database cannot be read, requests are refused immediately and cause no further reads.
func TestAnOldViewThatCannotBeReadRefusesWithoutAFlood(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		db := storetest.Open(t, srv.App.Config.Database)
		v, age := aging(t, db)
		hide(t, srv, "revocations")
		age(session.MaxViewAge + time.Second)
		before := db.Statements()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, err := v.Check(t.Context(), &token.Claims{UserID: "u", SessionID: "s"})
				if f := fault.As(err); f == nil || f.Reason != fault.RevocationViewStale {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if n := db.Statements() - before; n > 2 {
			t.Errorf("%d statements", n)
		}
		show(t, srv, "revocations")
		age(time.Minute)
		wantReason(t, v, token.Claims{UserID: "u", SessionID: "s"}, "")
	})
}

// A canceled caller does not count as a database failure, and the other waiters get an answer.
func TestACancelledCallerDoesNotEndTheReadOfOthers(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v, age := aging(t, srv.App.DB)
		age(session.MaxViewAge + time.Second)
		left, leave := context.WithCancel(t.Context())
		leave()
		if _, err := v.Check(left, &token.Claims{UserID: "u", SessionID: "s"}); err == nil {
			t.Error("a canceled caller was answered")
		}
		wantReason(t, v, token.Claims{UserID: "u", SessionID: "s"}, "")
	})
}
