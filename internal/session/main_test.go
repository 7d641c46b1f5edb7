package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/cli"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// serveVariable makes the test binary run the server, in a separate process that a test can kill.
const serveVariable = "SESSION_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		os.Exit(cli.Main(context.Background(), nil, os.Stdin, os.Stdout, os.Stderr))
	}
	storetest.Main(m)
}

// audited returns the number of audit entries of an action on a session.
func audited(tb testing.TB, srv *apptest.Server, action string, session token.SessionID) int {
	tb.Helper()
	return srv.Count(tb, "SELECT count(*) FROM audit_log WHERE action = $1 AND session_id = $2", action, session)
}

// state is the part of a session's row that a refresh may change.
type state struct {
	Generation     int64      `db:"generation"`
	SeenGeneration int64      `db:"seen_generation"`
	RotatedAt      store.Time `db:"rotated_at"`
	ExpiresAt      store.Time `db:"expires_at"`
	EndsAt         store.Time `db:"ends_at"`
	IsRevoked      bool       `db:"is_revoked"`
	IP             string     `db:"ip"`
	UserAgent      string     `db:"user_agent"`
}

func stateOf(tb testing.TB, srv *apptest.Server, id token.SessionID) (s state) {
	tb.Helper()
	err := srv.App.DB.Get(tb.Context(), &s, `SELECT generation, seen_generation, rotated_at, expires_at, ends_at,
		revoked_at IS NOT NULL AS is_revoked, ip, user_agent FROM sessions WHERE id = $1`, id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// promote gives a user the role ADMIN.
func promote(tb testing.TB, srv *apptest.Server, id token.UserID) {
	tb.Helper()
	add := []token.Role{"ADMIN"}
	if _, err := srv.App.Accounts.ChangeRoles(tb.Context(), id, add, nil, apptest.Operator); err != nil {
		tb.Fatal(err)
	}
}

// endGrace moves a session's last rotation back beyond the grace.
func endGrace(tb testing.TB, srv *apptest.Server, id token.SessionID) {
	tb.Helper()
	beyond := (srv.App.Config.RefreshGrace + time.Second).Microseconds()
	srv.Exec(tb, "UPDATE sessions SET rotated_at = rotated_at - $2 WHERE id = $1", id, beyond)
}

func awaitSeen(tb testing.TB, srv *apptest.Server, id token.SessionID, generation int64) {
	tb.Helper()
	webtest.Eventually(tb, "the generation is marked as seen", func() bool {
		return stateOf(tb, srv, id).SeenGeneration == generation
	})
}

// auth decodes the pair of tokens in the response to a refresh.
func auth(tb testing.TB, a *apptest.Answer) apptest.Auth {
	tb.Helper()
	var out struct{ RefreshToken apptest.Auth }
	a.Into(tb, &out)
	return out.RefreshToken
}

// claims decodes an access token without verifying it.
func claims(tb testing.TB, accessToken string) (c struct {
	Sub, Sid, Jti string
	Gen, Ver, Exp int64
	Roles         []string
	AuthTime      int64 `json:"auth_time"`
}) {
	tb.Helper()
	parts := strings.Split(accessToken, ".")
	if len(parts) != 3 {
		tb.Fatalf("%q is not a JWT", accessToken)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

// bearer returns a client that has only an access token.
func bearer(srv *apptest.Server, accessToken string) *apptest.Client {
	c := srv.Anonymous()
	c.AccessToken = accessToken
	return c
}

const meQuery = `{ me { id roles } }`

// wantAlive checks that both tokens are accepted.
func wantAlive(tb testing.TB, srv *apptest.Server, accessToken, refreshToken string) {
	tb.Helper()
	if a := bearer(srv, accessToken).Do(tb, meQuery, nil); len(a.Errors) > 0 {
		tb.Errorf("the access token is refused: %s", a.Body)
	}
	if a := srv.Anonymous().Redeem(tb, refreshToken); len(a.Errors) > 0 {
		tb.Errorf("the refresh token is refused: %s", a.Body)
	}
}

// wantDead checks that both tokens are refused as revoked.
func wantDead(tb testing.TB, srv *apptest.Server, accessToken, refreshToken string) {
	tb.Helper()
	bearer(srv, accessToken).Do(tb, meQuery, nil).Refused(tb, "UNAUTHENTICATED", "TOKEN_REVOKED")
	srv.Anonymous().Redeem(tb, refreshToken).Refused(tb, "UNAUTHENTICATED", "SESSION_REVOKED")
}

const refreshMutation = `mutation($token: String!) {
	refreshToken(input: {refreshToken: $token}) ` + apptest.AuthFields + ` }`
