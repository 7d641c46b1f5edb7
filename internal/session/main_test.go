package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/graph/graphtest"
	"github.com/graphwarden/graphwarden/internal/cli"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// serveVariable makes the test binary run the server, in a separate process that a test can kill.
const serveVariable = "SESSION_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		os.Exit(cli.Main(context.Background(), nil, os.Stdin, os.Stdout, os.Stderr))
	}
	storetest.Main(m)
}

// onBoth runs f on a server with a fresh database of each kind.
func onBoth(t *testing.T, f func(t *testing.T, srv *graphtest.Server)) {
	t.Helper()
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) { f(t, graphtest.Start(t, graphtest.Database(url))) })
}

// change executes one statement.
func change(tb testing.TB, srv *graphtest.Server, query string, args ...any) {
	tb.Helper()
	err := srv.App.DB.Tx(tb.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// count returns the number that query selects.
func count(tb testing.TB, srv *graphtest.Server, query string, args ...any) (n int64) {
	tb.Helper()
	if err := srv.App.DB.Get(tb.Context(), &n, query, args...); err != nil {
		tb.Fatal(err)
	}
	return n
}

// audited returns the number of audit entries of an action on a session.
func audited(tb testing.TB, srv *graphtest.Server, action string, session token.SessionID) int64 {
	tb.Helper()
	return count(tb, srv, "SELECT count(*) FROM audit_log WHERE action = $1 AND session_id = $2", action, session)
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

func stateOf(tb testing.TB, srv *graphtest.Server, id token.SessionID) (s state) {
	tb.Helper()
	err := srv.App.DB.Get(tb.Context(), &s, `SELECT generation, seen_generation, rotated_at, expires_at, ends_at,
		revoked_at IS NOT NULL AS is_revoked, ip, user_agent FROM sessions WHERE id = $1`, id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// promote gives a user the role ADMIN.
func promote(tb testing.TB, srv *graphtest.Server, id token.UserID) {
	tb.Helper()
	add := []token.Role{"ADMIN"}
	if _, err := srv.App.Accounts.ChangeRoles(tb.Context(), id, add, nil, graphtest.Operator); err != nil {
		tb.Fatal(err)
	}
}

// endGrace moves a session's last rotation back beyond the grace.
func endGrace(tb testing.TB, srv *graphtest.Server, id token.SessionID) {
	tb.Helper()
	beyond := (srv.App.Config.RefreshGrace + time.Second).Microseconds()
	change(tb, srv, "UPDATE sessions SET rotated_at = rotated_at - $2 WHERE id = $1", id, beyond)
}

// eventually waits until done returns true, because another goroutine or process has to act first.
func eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			tb.Fatalf("timed out waiting until %s", what)
		case <-tick.C:
		}
	}
}

func awaitSeen(tb testing.TB, srv *graphtest.Server, id token.SessionID, generation int64) {
	tb.Helper()
	eventually(tb, "the generation is marked as seen", func() bool {
		return stateOf(tb, srv, id).SeenGeneration == generation
	})
}

// auth decodes the pair of tokens in the response to a refresh.
func auth(tb testing.TB, a *graphtest.Answer) graphtest.Auth {
	tb.Helper()
	var out struct{ RefreshToken graphtest.Auth }
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
func bearer(srv *graphtest.Server, accessToken string) *graphtest.Client {
	c := srv.Anonymous()
	c.AccessToken = accessToken
	return c
}

const meQuery = `{ me { id roles } }`

// wantAlive checks that both tokens are accepted.
func wantAlive(tb testing.TB, srv *graphtest.Server, accessToken, refreshToken string) {
	tb.Helper()
	if a := bearer(srv, accessToken).Do(tb, meQuery, nil); len(a.Errors) > 0 {
		tb.Errorf("the access token is refused: %s", a.Body)
	}
	if a := srv.Anonymous().Redeem(tb, refreshToken); len(a.Errors) > 0 {
		tb.Errorf("the refresh token is refused: %s", a.Body)
	}
}

// wantDead checks that both tokens are refused as revoked.
func wantDead(tb testing.TB, srv *graphtest.Server, accessToken, refreshToken string) {
	tb.Helper()
	bearer(srv, accessToken).Do(tb, meQuery, nil).Refused(tb, "UNAUTHENTICATED", "TOKEN_REVOKED")
	srv.Anonymous().Redeem(tb, refreshToken).Refused(tb, "UNAUTHENTICATED", "SESSION_REVOKED")
}

const refreshMutation = `mutation($token: String!) {
	refreshToken(input: {refreshToken: $token}) ` + graphtest.AuthFields + ` }`
