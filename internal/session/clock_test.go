package session_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// However the database's clock jumps, a running replica and a new one know a revocation for as long as the token is
// valid by any clock.
func TestRevocationsOutliveJumpsOfTheClock(t *testing.T) {
	jumps := map[string][]time.Duration{
		"forward":                 {2 * time.Hour},
		"back":                    {-2 * time.Hour},
		"forward and back":        {2 * time.Hour, -2 * time.Hour},
		"back and forward":        {-2 * time.Hour, 2 * time.Hour},
		"forward in small steps":  {25 * time.Minute, 25 * time.Minute, 25 * time.Minute, -75 * time.Minute},
		"forward by half a day":   {12 * time.Hour, -12 * time.Hour},
		"back by half a day":      {-12 * time.Hour, 12 * time.Hour},
		"far forward, half back":  {4 * time.Hour, -2 * time.Hour, -2 * time.Hour},
		"a little beyond a token": {16 * time.Minute, -16 * time.Minute},
	}
	for name, steps := range jumps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				ended, everywhere := srv.As(t), srv.As(t)
				logout(t, ended, "CURRENT", "")
				logout(t, everywhere, "ALL", "")
				for _, step := range steps {
					srv.ShiftDatabase(t, step)
					srv.App.View.SweepNow()
					poll(t, srv.App.View)
					if err := srv.App.Sessions.Prune(t.Context()); err != nil {
						t.Fatal(err)
					}
					for _, c := range []*apptest.Client{ended, everywhere} {
						wantReason(t, srv.App.View, claimsOf(c, 1), fault.TokenRevoked)
						wantReason(t, viewOf(t, srv), claimsOf(c, 1), fault.TokenRevoked)
						if a := c.Do(t, meQuery, nil); a.Status != 401 {
							t.Errorf("after a step of %s, a revoked token gets %d %s", step, a.Status, a.Body)
						}
					}
				}
			})
		})
	}
}

// A replica that starts while the database's clock is ahead skips rows that look old. It reads them when the clock is
// correct again.
func TestAViewThatStartedOnAWrongClockReadsAllOnceItIsRight(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		logout(t, c, "CURRENT", "")
		srv.Exec(t, "UPDATE revocations SET created_at = created_at - $1", (10 * time.Minute).Microseconds())
		srv.ShiftDatabase(t, 2*time.Hour)
		v := session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: time.Minute}, srv.Now)
		poll(t, v)
		if v.Size() != 0 {
			t.Fatal("the view has read a row that is two hours old by that clock, so this test has no effect")
		}
		srv.ShiftDatabase(t, -2*time.Hour)
		poll(t, v)
		wantReason(t, v, claimsOf(c, 1), fault.TokenRevoked)
	})
}

// A token issued while the machine's clock was ahead becomes valid when the corrected clock reaches its iat.
func TestRevocationsOutliveTokensFromTheFuture(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t) // on SQLite there is only one clock
	srv.ShiftDatabase(t, 2*time.Hour)
	c := srv.As(t)
	poll(t, srv.App.View)
	srv.ShiftDatabase(t, -2*time.Hour)
	c.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_INVALID")
	caller := audit.Actor{Claims: claimsOf(c, 1)}
	if _, err := srv.App.Sessions.Logout(t.Context(), session.ScopeCurrent, caller); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		srv.Advance(t, 30*time.Minute)
		srv.App.View.SweepNow()
		poll(t, srv.App.View)
	}
	c.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
}

func TestReuseIsDetectedWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		jumps := map[string]time.Duration{
			"back":            -2 * time.Hour,
			"forward":         2 * time.Hour,
			"back by minutes": -2 * time.Minute,
		}
		for name, jump := range jumps {
			t.Run(name, func(t *testing.T) {
				c := srv.As(t)
				spent := c.RefreshToken
				c.Refresh(t)
				c.Do(t, meQuery, nil)
				awaitSeen(t, srv, c.SessionID, 2)
				srv.ShiftDatabase(t, jump)
				defer srv.ShiftDatabase(t, -jump)
				srv.Anonymous().Redeem(t, spent).Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
				srv.Anonymous().Redeem(t, c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
			})
		}
		t.Run("a step as long as the grace does not sign the user out", func(t *testing.T) {
			c := srv.As(t)
			spent := c.RefreshToken
			c.Refresh(t)
			c.Do(t, meQuery, nil)
			awaitSeen(t, srv, c.SessionID, 2)
			srv.ShiftDatabase(t, -srv.App.Config.RefreshGrace)
			defer srv.ShiftDatabase(t, srv.App.Config.RefreshGrace)
			if again := auth(t, srv.Anonymous().Redeem(t, spent)); again.RefreshToken != c.RefreshToken {
				t.Error("another successor")
			}
		})
	})
}

// skewed returns a view with a clock that can be set, and a counter of its readings.
func skewed(srv *apptest.Server, bound time.Duration) (v *session.View, off, looks *atomic.Int64) {
	off, looks = new(atomic.Int64), new(atomic.Int64)
	return session.NewView(srv.App.DB, session.ViewOptions{MaxSkew: bound}, func() time.Time {
		looks.Add(1)
		return apptest.SetWall(srv.Now(), time.Duration(off.Load()))
	}), off, looks
}

func TestAReplicaWhoseClockIsTooFarOffRefuses(t *testing.T) {
	const bound = 30 * time.Second
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, ended := srv.As(t), srv.As(t)
		logout(t, ended, "CURRENT", "")
		v, off, _ := skewed(srv, bound)
		innocent := claimsOf(c, 1)
		for _, one := range []struct {
			off     time.Duration
			refused bool
		}{
			{0, false},
			{bound - 5*time.Second, false},
			{bound + 5*time.Second, true},
			{5*time.Second - bound, false},
			{-bound - 5*time.Second, true},
			{0, false},
		} {
			off.Store(int64(one.off))
			poll(t, v)
			if skew := v.Skew(); (skew - one.off).Abs() > 4*time.Second {
				t.Errorf("clock %s off, measured %s", one.off, skew)
			}
			reason, err := v.Check(t.Context(), &innocent)
			refused := fault.Is(err, fault.ClockSkew) && fault.As(err).Code == fault.Unavailable
			if refused != one.refused || reason != "" {
				t.Errorf("clock %s off: %q %v", one.off, reason, err)
			}
			wantReason(t, v, claimsOf(ended, 1), fault.TokenRevoked) // known revocations stay known
		}
	})
}

func TestAServerWhoseClockIsTooFarOffIsNotReady(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url), func(o *apptest.Options) {
			o.Config.ClockSkew = 30 * time.Second
		})
		if srv.App.DB.Dialect() == store.SQLite {
			return // SQLite uses the machine's own clock
		}
		c := srv.As(t)
		for _, off := range []time.Duration{time.Minute, -time.Minute} {
			srv.ShiftDatabase(t, off)
			poll(t, srv.App.View)
			answer := c.Do(t, meQuery, nil)
			answer.Refused(t, "UNAVAILABLE", "CLOCK_SKEW")
			if answer.Status != 503 || answer.Errors[0].Extensions.RetryAfter < 1 {
				t.Errorf("got %d %s", answer.Status, answer.Body)
			}
			if err := srv.App.Ready(t.Context()); err == nil {
				t.Error("the server reports that it is ready")
			}
			before := stateOf(t, srv, c.SessionID)
			// A token issued by a wrong clock would outlive its revocation.
			c.Redeem(t, c.RefreshToken).Refused(t, "UNAVAILABLE", "CLOCK_SKEW")
			if after := stateOf(t, srv, c.SessionID); after != before {
				t.Errorf("the session changed from %+v to %+v", before, after)
			}
			c.Do(t, `{ __typename }`, nil).Into(t, &struct{}{})

			srv.ShiftDatabase(t, -off)
			poll(t, srv.App.View)
			c.Do(t, meQuery, nil).Into(t, &struct{}{})
			if err := srv.App.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			c.Refresh(t)
		}
	})
}

// lines counts log lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func TestClocksApartAreLoggedOnceAndWhenTheyAgreeAgain(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		v, off, looks := skewed(srv, time.Minute)
		v.SetPollEvery(time.Millisecond)
		var log lines
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { v.Follow(ctx, slog.New(slog.NewTextHandler(&log, nil))) })
		defer group.Wait()
		defer stop()
		for episode := range 2 {
			for _, one := range []struct {
				off  time.Duration
				line string
			}{{10 * time.Second, "level=WARN"}, {0, "agree again"}} {
				off.Store(int64(one.off))
				webtest.Eventually(t, "it is logged", func() bool { return log.count(one.line) > episode })
				after := looks.Load() + 50
				webtest.Eventually(t, "it has polled more often", func() bool { return looks.Load() > after })
				if n := log.count(one.line); n != episode+1 {
					t.Errorf("%d lines with %q, want %d", n, one.line, episode+1)
				}
			}
		}
	})
}
