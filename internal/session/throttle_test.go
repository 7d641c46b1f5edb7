package session_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
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
