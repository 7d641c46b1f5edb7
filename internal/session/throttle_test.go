package session_test

import (
	"sync/atomic"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestRefreshesAreThrottled(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		const limit = 3
		srv := apptest.Start(t, apptest.Database(url), func(o *apptest.Options) {
			o.Config.RefreshLimit.Burst, o.Config.RefreshInvalidLimit.Burst = limit, limit
		})
		c, other := srv.As(t), srv.As(t)
		for range limit {
			srv.Anonymous().Redeem(t, "gwr_forged").Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
			c.Refresh(t)
		}
		for name, raw := range map[string]string{"a session's own": c.RefreshToken, "an address's forgeries": "gwr_forged"} {
			answer := srv.Anonymous().Redeem(t, raw)
			if len(answer.Errors) != 1 || answer.Status != 429 || answer.Errors[0].Extensions.Code != "RATE_LIMITED" ||
				answer.Errors[0].Extensions.RetryAfter < 1 {
				t.Errorf("%s beyond the limit: got %d %s", name, answer.Status, answer.Body)
			}
		}
		if got := stateOf(t, srv, c.SessionID).Generation; got != limit+1 {
			t.Errorf("generation %d: a refused refresh rotated", got)
		}
		if answer := srv.Anonymous().Redeem(t, other.RefreshToken); len(answer.Errors) > 0 {
			t.Errorf("another session at the same address is refused: %s", answer.Body)
		}
	})
}

// A replay and a refusal take an attempt as a rotation does, even if many arrive at once.
func TestReplaysAndRefusalsAreThrottled(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		const limit = 5
		srv := apptest.Start(t, apptest.Database(url), func(o *apptest.Options) { o.Config.RefreshLimit.Burst = limit })
		replayed, ended := srv.As(t), srv.As(t)
		logout(t, ended, "CURRENT", "")
		for name, raw := range map[string]string{"replays": replayed.RefreshToken, "refusals": ended.RefreshToken} {
			var limited atomic.Int64
			atOnce(t, 4*limit, func(int) error {
				_, err := srv.App.Sessions.Refresh(t.Context(), raw, audit.Actor{})
				if fault.Is(err, fault.TooManyAttempts) {
					limited.Add(1)
				}
				return expected(err, fault.TooManyAttempts, fault.SessionRevoked)
			})
			if got := limited.Load(); got != 3*limit {
				t.Errorf("%s: %d of %d are limited, want all but %d", name, got, 4*limit, limit)
			}
		}
	})
}
