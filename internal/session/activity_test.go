package session_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// activityOf returns another Activity, like that of another replica or after a restart.
func activityOf(tb testing.TB, srv *apptest.Server, now func() time.Time) *session.Activity {
	tb.Helper()
	a, err := session.NewActivity(srv.App.DB, now)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func flush(tb testing.TB, a *session.Activity) {
	tb.Helper()
	if err := a.Flush(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func seen(tb testing.TB, srv *apptest.Server, id token.SessionID) int64 {
	tb.Helper()
	return stateOf(tb, srv, id).SeenGeneration
}

func TestMarkIsRememberedOnlyAfterTheWrite(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		mark := &token.Claims{SessionID: c.SessionID, Generation: 1}
		a := activityOf(t, srv, srv.Now)

		a.Mark(mark)
		broken, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Flush(broken); err == nil {
			t.Fatal("a flush succeeded without a write")
		}
		if got := seen(t, srv, c.SessionID); got != 0 {
			t.Fatalf("generation %d is marked", got)
		}
		flush(t, a)
		if got := seen(t, srv, c.SessionID); got != 1 {
			t.Errorf("generation %d is marked, want 1: the failed mark is lost", got)
		}

		srv.Exec(t, "UPDATE sessions SET seen_generation = 0 WHERE id = $1", c.SessionID)
		a.Mark(mark)
		if waiting, _ := a.Pending(); waiting != 0 {
			t.Error("a written mark is written again")
		}
		restarted := activityOf(t, srv, srv.Now)
		restarted.Mark(mark)
		flush(t, restarted)
		if got := seen(t, srv, c.SessionID); got != 1 {
			t.Errorf("generation %d is marked, want 1: the first use after a restart does not mark again", got)
		}
	})
}

func TestMarkIsMonotone(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		a := activityOf(t, srv, srv.Now)
		for _, generation := range []int64{3, 2, 4, 1} {
			a.Mark(&token.Claims{SessionID: c.SessionID, Generation: generation})
		}
		flush(t, a)
		if got := seen(t, srv, c.SessionID); got != 4 {
			t.Errorf("generation %d is marked, want 4", got)
		}
		other := activityOf(t, srv, srv.Now)
		other.Mark(&token.Claims{SessionID: c.SessionID, Generation: 2})
		flush(t, other)
		if got := seen(t, srv, c.SessionID); got != 4 {
			t.Errorf("another replica lowered the mark to %d", got)
		}
	})
}

func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	a := activityOf(t, srv, srv.Now)
	known := token.SessionID("known")
	a.Mark(&token.Claims{SessionID: known, Generation: 1})
	for range session.MaxPending + 100 {
		a.Mark(&token.Claims{SessionID: token.SessionID(uuid.NewString()), Generation: 1})
	}
	if seen, touched := a.Pending(); seen != session.MaxPending || touched != session.MaxPending {
		t.Errorf("%d and %d marks are pending, want %d", seen, touched, session.MaxPending)
	}
}

func TestManyMarksAreWritten(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		const n = 1200 // more than one transaction writes
		srv.Exec(t, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1200)
			INSERT INTO sessions (id, user_id, salt, generation, seen_generation, auth_time, amr, created_at, rotated_at,
				last_seen_at, expires_at, ends_at, ip, user_agent)
			SELECT 'many' || n, user_id, salt, 1, 0, auth_time, amr, created_at, rotated_at,
				last_seen_at, expires_at, ends_at, ip, user_agent FROM numbers, sessions WHERE id = $1`, c.SessionID)
		a := activityOf(t, srv, srv.Now)
		var ids []token.SessionID
		if err := srv.App.DB.Select(t.Context(), &ids, "SELECT id FROM sessions WHERE id LIKE 'many%'"); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			a.Mark(&token.Claims{SessionID: id, Generation: 1})
		}
		flush(t, a)
		if got := srv.Count(t, "SELECT count(*) FROM sessions WHERE id LIKE 'many%' AND seen_generation = 1"); got != n {
			t.Errorf("%d sessions are marked, want %d", got, n)
		}
	})
}

func TestLastSeenIsLazy(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		var offset atomic.Int64
		a := activityOf(t, srv, func() time.Time { return srv.Now().Add(time.Duration(offset.Load())) })
		use := func(at time.Duration) (lastSeen store.Time) {
			t.Helper()
			offset.Store(int64(at))
			a.Mark(&token.Claims{SessionID: c.SessionID, Generation: 1})
			flush(t, a)
			return store.Time(srv.Count(t, "SELECT last_seen_at FROM sessions WHERE id = $1", c.SessionID))
		}
		first := use(time.Second)
		if soon := use(30 * time.Second); soon != first {
			t.Error("written again within a minute")
		}
		if later := use(2 * time.Minute); later.Sub(first) < time.Minute {
			t.Errorf("moved by only %s", later.Sub(first))
		}
	})
}

func TestActivityIsFlushedAtTheStop(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		a := activityOf(t, srv, srv.Now)
		a.Mark(&token.Claims{SessionID: c.SessionID, Generation: 1})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		a.Follow(ctx, time.Minute, slog.New(slog.DiscardHandler))
		if got := seen(t, srv, c.SessionID); got != 1 {
			t.Errorf("generation %d is marked, want 1", got)
		}
	})
}

func TestFollowersLogAnOutageOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		var log strings.Builder
		a := activityOf(t, srv, srv.Now)
		v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Minute}, srv.Now)
		hide(t, srv, "revocations")
		hide(t, srv, "sessions")
		a.Mark(&token.Claims{SessionID: c.SessionID, Generation: 1})
		lines := func(follow func(ctx context.Context, log *slog.Logger)) []string {
			log.Reset()
			ctx, stop := context.WithTimeout(t.Context(), 3*session.FlushEvery)
			defer stop()
			follow(ctx, slog.New(slog.NewTextHandler(&log, nil)))
			return strings.Split(strings.TrimSpace(log.String()), "\n")
		}
		if got := lines(func(ctx context.Context, log *slog.Logger) { v.Follow(ctx, log) }); len(got) != 1 {
			t.Errorf("the view logged %q, want one line", got)
		}
		followActivity := func(ctx context.Context, log *slog.Logger) { a.Follow(ctx, time.Minute, log) }
		if got := lines(followActivity); len(got) != 2 { // the second is from the flush at the stop
			t.Errorf("the activity logged %q, want two lines", got)
		}
		show(t, srv, "sessions")
		show(t, srv, "revocations")
		flush(t, a)
		if got := seen(t, srv, c.SessionID); got != 1 {
			t.Errorf("generation %d is marked after the outage, want 1", got)
		}
	})
}
