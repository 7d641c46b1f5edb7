package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
)

// outdate makes the revocation view too old, and revocations unreadable.
func (s *server) outdate(t *testing.T) {
	t.Helper()
	err := s.db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("ALTER TABLE revocations RENAME TO hidden")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.offset.Add(int64(session.MaxViewAge + time.Second))
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	s := open(t)
	for reason, raw := range s.refusedTokens(t, "alice") {
		if _, err := s.Authenticator.Authenticate(t.Context(), raw); !fault.Is(err, fault.Reason(reason)) ||
			fault.As(err).Code != fault.Unauthenticated {
			t.Errorf("%s: got %v", reason, err)
		}
	}
	good := s.issue(t, s.claims("alice", "ADMIN"))
	who, err := s.Authenticator.Authenticate(t.Context(), good)
	if err != nil || who.UserID != "alice" || !who.HasRole("ADMIN") {
		t.Errorf("got %v, %v", who, err)
	}
	// Revocations that cannot be read could affect any token.
	s.outdate(t)
	if _, err := s.Authenticator.Authenticate(t.Context(), good); !fault.Is(err, fault.RevocationViewStale) ||
		fault.As(err).Code != fault.Unavailable {
		t.Errorf("with an old view: %v", err)
	}
}

// A connection whose token is refused does not belong to the user of the request's own token.
func TestARefusedConnectionHasNoPrincipal(t *testing.T) {
	t.Parallel()
	s := open(t)
	alice, _, err := s.Authenticator.Connect(t.Context(), s.issue(t, s.claims("alice")))
	if who := guard.Caller(alice); err != nil || who.UserID != "alice" {
		t.Fatalf("got %v, %v", who, err)
	}
	for reason, raw := range s.refusedTokens(t, "alice") {
		ctx, _, err := s.Authenticator.Connect(alice, raw)
		if who := guard.Caller(ctx); err == nil || who.UserID != "" || !fault.Is(guard.Refusal(ctx), fault.Reason(reason)) {
			t.Errorf("%s: got %v, %v", reason, who, err)
		}
	}
}

// The log explains what is wrong with a forgery; the response does not.
func TestForgeriesLookAlike(t *testing.T) {
	t.Parallel()
	s := open(t)
	good := s.issue(t, s.claims("alice"))
	answers := map[string]bool{}
	for _, forged := range []string{
		"", "x", good + "x", good[:len(good)-2], "a.b.c", strings.Repeat("a", 9000), strings.ToUpper(good), good + "\n",
	} {
		_, err := s.Authenticator.Authenticate(t.Context(), forged)
		if err == nil {
			t.Fatalf("accepted %q", forged)
		}
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("forgeries have different errors: %v", answers)
	}
	if !strings.Contains(s.Log.String(), "access token refused") {
		t.Error("nothing was logged")
	}
}

// The middleware accepts one header with the scheme Bearer. It records other headers without rejecting the request.
func TestMiddlewareNeverRejects(t *testing.T) {
	t.Parallel()
	s := open(t)
	good := s.issue(t, s.claims("alice"))
	for _, test := range []struct {
		name    string
		headers []string
		user    string
		reason  fault.Reason
	}{
		{name: "no header", reason: fault.TokenMissing},
		{name: "a token", headers: []string{"Bearer " + good}, user: "alice"},
		{name: "another case", headers: []string{"bEARER " + good}, user: "alice"},
		{name: "the header twice", headers: []string{"Bearer " + good, "Bearer " + good}, reason: fault.TokenInvalid},
		{name: "an empty header", headers: []string{""}, reason: fault.TokenInvalid},
		{name: "no token", headers: []string{"Bearer"}, reason: fault.TokenInvalid},
		{name: "an empty token", headers: []string{"Bearer "}, reason: fault.TokenInvalid},
		{name: "no scheme", headers: []string{good}, reason: fault.TokenInvalid},
		{name: "another scheme", headers: []string{"Basic " + good}, reason: fault.TokenInvalid},
		{name: "a longer scheme", headers: []string{"Bearerx " + good}, reason: fault.TokenInvalid},
		{name: "two spaces", headers: []string{"Bearer  " + good}, reason: fault.TokenInvalid},
		{name: "a tab", headers: []string{"Bearer\t" + good}, reason: fault.TokenInvalid},
		{name: "a list", headers: []string{"Bearer " + good + ", Bearer " + good}, reason: fault.TokenInvalid},
		{name: "quotes", headers: []string{`Bearer "` + good + `"`}, reason: fault.TokenInvalid},
		{name: "garbage", headers: []string{"Bearer \x00\xff"}, reason: fault.TokenInvalid},
	} {
		var user string
		var refusal error
		handler := s.Authenticator.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			user, refusal = string(guard.Caller(r.Context()).UserID), guard.Refusal(r.Context())
		}))
		request := httptest.NewRequest(http.MethodPost, "/", nil)
		request.Header["Authorization"] = test.headers
		if test.headers == nil {
			request.Header.Del("Authorization")
		}
		handler.ServeHTTP(httptest.NewRecorder(), request)
		if test.user != "" && (user != test.user || refusal != nil) {
			t.Errorf("%s: got %q, %v", test.name, user, refusal)
		}
		if test.user == "" && (user != "" || !fault.Is(refusal, test.reason)) {
			t.Errorf("%s: got %q, %v; want %s", test.name, user, refusal, test.reason)
		}
	}
}

func TestAContextWithoutARequestHasNoPrincipal(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(guard.Principal{}, guard.Caller(context.Background())); diff != "" {
		t.Error(diff)
	}
	if err := guard.Refusal(context.Background()); !fault.Is(err, fault.TokenMissing) {
		t.Errorf("got %v", err)
	}
}

func TestIntrospectionFollowsItsSetting(t *testing.T) {
	t.Parallel()
	const query = `{ __schema { queryType { name } } __type(name: "Cat") { name fields { name } } }`
	for setting, want := range map[string]map[string]int{
		"public":        {"": 200, "bob": 200, "admin": 200, "expired": 200},
		"authenticated": {"": 401, "bob": 200, "admin": 200, "expired": 401},
		"ADMIN":         {"": 401, "bob": 403, "admin": 200, "expired": 401},
		"off":           {"": 403, "bob": 403, "admin": 403, "expired": 403},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setting)
			who := people(t, s)
			for as, status := range want {
				var header []string
				if as != "" {
					header = []string{who[as]}
				}
				a := s.ask(t, query, nil, header...)
				if a.Status != status || (len(a.Errors) == 0) != (status == 200) ||
					strings.Contains(a.Body, "lives") != (status == 200) {
					t.Errorf("as %q: got %d %s, want %d", as, a.Status, a.Body, status)
				}
				// Introspection is also refused in an operation with allowed fields.
				a = s.ask(t, `{ poster { text } __type(name: "Cat") { name } }`, nil, header...)
				if strings.Contains(a.Body, `"name":"Cat"`) != (status == 200) {
					t.Errorf("as %q: got %d %s", as, a.Status, a.Body)
				}
				if a := s.ask(t, `{ __typename }`, nil, header...); a.Status != 200 {
					t.Errorf("__typename as %q: got %d %s", as, a.Status, a.Body)
				}
			}
		})
	}
}

func TestFieldsWithoutARuleAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	policy, err := guard.NewPolicy(guardtest.Load(), "public")
	if err != nil {
		t.Fatal(err)
	}
	policy.Forget("Poster", "text")
	policy.Forget("Visit", "cage")
	s.serve(t, policy)
	allRoles := "Bearer " + s.issue(t, s.claims("alice", "USER", "ADMIN", "KEEPER"))
	for query, want := range map[string]string{
		`{ poster { text } }`: `poster.text ROLE_REQUIRED`,
		`{ named(kind: "Poster") { ... on Poster { text } } }`: `{"named":null} named.text ROLE_REQUIRED`,
		`{ cage { open } }`: `cage ROLE_REQUIRED`,
	} {
		if got := s.ask(t, query, nil, allRoles).String(); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	if !strings.Contains(s.Log.String(), "a field without a rule") {
		t.Errorf("log: %s", s.Log)
	}
}

// A presented token shows that the client has its generation, which affects later refreshes.
func TestAVerifiedTokenCountsAsSeen(t *testing.T) {
	t.Parallel()
	s := open(t)
	err := s.db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(
			`INSERT INTO users (id, email, email_key, email_verified, name, roles, version, created_at, updated_at)
			VALUES ('alice', '', '', FALSE, '', '', 1, 0, 0)`,
		)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO sessions
			(id, user_id, salt, generation, seen_generation, auth_time, amr, created_at, rotated_at, last_seen_at,
				expires_at, ends_at, ip, user_agent)
			VALUES ('session of alice', 'alice', '', 7, 6, 0, '', 0, 0, 0, 0, 0, '', '')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.claims("alice")
	c.Generation = 7
	if _, err := s.Authenticator.Authenticate(t.Context(), s.issue(t, c)); err != nil {
		t.Fatal(err)
	}
	if err := s.activity.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var seen int64
	if err := s.db.Get(t.Context(), &seen, "SELECT seen_generation FROM sessions"); err != nil || seen != 7 {
		t.Errorf("seen generation %d, %v; want 7", seen, err)
	}
}

func TestMissingMethodsAreLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	alice := "Bearer " + s.issue(t, s.claims("alice"))
	for query, want := range map[string]string{
		`{ stray { name } }`:                     "without OwnerID",
		`{ named(kind: "unheard of") { name } }`: "GraphQLType",
	} {
		s.ask(t, query, nil, alice)
		if !strings.Contains(s.Log.String(), want) {
			t.Errorf("%s: log: %s", query, s.Log)
		}
	}
}
