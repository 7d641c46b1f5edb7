package graph_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

const (
	page       = "https://app.example.com"
	cookieName = "__Host-graphwarden_refresh"
)

// browser returns a client that behaves like a page of an origin: it sends the origin and keeps the cookie.
func browser(srv *apptest.Server, origin string) *apptest.Client {
	c := srv.Anonymous()
	c.Header.Set("Origin", origin)
	return c
}

func withPage(o *apptest.Options) { o.Config.AllowedOrigins = []string{page} }

// keep adds the cookie of an answer to the client's further requests, and returns its raw form.
func keep(t *testing.T, c *apptest.Client, answer *apptest.Answer) string {
	t.Helper()
	set := answer.Header.Values("Set-Cookie")
	if len(set) != 1 {
		t.Fatalf("want one cookie, got %q in %s", set, answer.Body)
	}
	pair, _, _ := strings.Cut(set[0], ";")
	c.Header.Set("Cookie", pair)
	return set[0]
}

const cookieAuth = `{ accessToken refreshToken session { id } user { id } }`

type cookiePayload struct {
	AccessToken  string
	RefreshToken *string
}

// signedIn returns a browser with its refresh token in a cookie.
func signedIn(t *testing.T, srv *apptest.Server) (*apptest.Client, *apptest.Client) {
	t.Helper()
	owner := srv.As(t)
	c := browser(srv, page)
	answer := c.Do(
		t,
		`mutation($email: String!, $password: String!) { login(input: {email: $email, password: $password, delivery: COOKIE}) `+cookieAuth+` }`,
		map[string]any{"email": owner.Email, "password": apptest.Password},
	)
	var got struct{ Login cookiePayload }
	answer.Into(t, &got)
	raw := keep(t, c, answer)
	for _, attribute := range []string{
		cookieName + "=gwr_", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Strict", "; Expires=",
	} {
		if !strings.Contains(raw, attribute) {
			t.Errorf("the cookie %q lacks %q", raw, attribute)
		}
	}
	if strings.Contains(raw, "Domain") || got.Login.RefreshToken != nil || strings.Contains(string(answer.Body), "gwr_") {
		t.Errorf("the refresh token must be in a cookie of this host alone: %q, %s", raw, answer.Body)
	}
	c.AccessToken = got.Login.AccessToken
	return c, owner
}

const refreshByCookie = `mutation { refreshToken ` + cookieAuth + ` }`

func TestCookieMode(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, withPage)

	t.Run("refreshes by cookie with any bearer token", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		before := c.Header.Get("Cookie")
		for _, bearer := range []string{"", "garbage", c.AccessToken} {
			c.AccessToken = bearer
			answer := c.Do(t, refreshByCookie, nil)
			var got struct{ RefreshToken cookiePayload }
			answer.Into(t, &got)
			keep(t, c, answer)
			if got.RefreshToken.RefreshToken != nil || got.RefreshToken.AccessToken == "" || c.Header.Get("Cookie") == before {
				t.Errorf("with the bearer %q: %s", bearer, answer.Body)
			}
		}
	})

	t.Run("needs a trusted origin", func(t *testing.T) {
		t.Parallel()
		for name, headers := range map[string]map[string][]string{
			"none at all":                  {"Origin": nil},
			"another":                      {"Origin": {"https://evil.example.com"}},
			"null":                         {"Origin": {"null"}},
			"null from the same site":      {"Origin": {"null"}, "Sec-Fetch-Site": {"same-origin"}},
			"the trusted one as a prefix":  {"Origin": {page + ".evil.com"}},
			"another port":                 {"Origin": {page + ":8443"}},
			"two":                          {"Origin": {page, page}},
			"another across sites":         {"Origin": {"https://evil.example.com"}, "Sec-Fetch-Site": {"cross-site"}},
			"a sibling":                    {"Origin": {"https://www.example.com"}, "Sec-Fetch-Site": {"same-site"}},
			"an address that a user typed": {"Origin": {page}, "Sec-Fetch-Site": {"none"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c, owner := signedIn(t, srv)
				cookie := c.Header.Get("Cookie")
				for key, values := range headers {
					c.Header[key] = values
				}
				for _, mutation := range []string{
					refreshByCookie,
					`mutation { login(input: {email: "` + owner.Email + `", password: "` + apptest.Password + `", delivery: COOKIE}) ` + cookieAuth + ` }`,
					`mutation { register(input: {email: "new` + owner.Email + `", password: "` + apptest.Password + `", delivery: COOKIE}) { auth ` + cookieAuth + ` } }`,
					`mutation { reauthenticate(input: {password: "` + apptest.Password + `"}) ` + cookieAuth + ` }`,
				} {
					answer := c.Do(t, mutation, nil)
					answer.Refused(t, "FORBIDDEN", "ORIGIN_NOT_ALLOWED")
					if answer.Header.Get("Set-Cookie") != "" {
						t.Errorf("a refusal set a cookie: %s", answer.Body)
					}
				}
				c.AccessToken = ""
				c.Do(t, `mutation { logout { endedSessions } }`, nil).Refused(t, "FORBIDDEN", "ORIGIN_NOT_ALLOWED")

				honest := browser(srv, page)
				honest.Header.Set("Cookie", cookie)
				if answer := honest.Do(t, refreshByCookie, nil); len(answer.Errors) > 0 {
					t.Errorf("the refusals changed the session: %s", answer.Body)
				}
			})
		}
	})

	t.Run("trusts the browser's Sec-Fetch-Site for the same origin", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		c.Header.Del("Origin")
		c.Header.Set("Sec-Fetch-Site", "same-origin")
		keep(t, c, c.Do(t, refreshByCookie, nil))
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		c.Header.Set("Origin", page)
		keep(t, c, c.Do(t, refreshByCookie, nil))
	})

	t.Run("refuses a token in both places", func(t *testing.T) {
		t.Parallel()
		c, owner := signedIn(t, srv)
		for _, mutation := range []string{
			`mutation($token: String!) { refreshToken(input: {refreshToken: $token}) { accessToken } }`,
			`mutation($token: String!) { logout(input: {refreshToken: $token}) { endedSessions } }`,
		} {
			c.Do(t, mutation, map[string]any{"token": owner.RefreshToken}).Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
		}
		owner.Refresh(t) // the token was not redeemed
	})

	t.Run("refuses two cookies", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		planted, _ := signedIn(t, srv)
		genuine := c.Header.Get("Cookie")
		c.AccessToken = ""
		for _, both := range []string{
			planted.Header.Get("Cookie") + "; " + genuine, genuine + "; " + planted.Header.Get("Cookie"),
		} {
			c.Header.Set("Cookie", both)
			for _, mutation := range []string{refreshByCookie, `mutation { logout { endedSessions } }`} {
				c.Do(t, mutation, nil).Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
			}
		}
		c.Header.Set("Cookie", genuine)
		keep(t, c, c.Do(t, refreshByCookie, nil))
	})

	t.Run("returns the successor in a cookie", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		for _, mutation := range []string{
			`mutation { payload: reauthenticate(input: {password: "` + apptest.Password + `"}) ` + cookieAuth + ` }`,
			`mutation { payload: changePassword(input: {currentPassword: "` + apptest.Password + `", newPassword: "another unlikely passphrase"}) ` + cookieAuth + ` }`,
		} {
			answer := c.Do(t, mutation, nil)
			var got struct{ Payload cookiePayload }
			answer.Into(t, &got)
			keep(t, c, answer)
			if got.Payload.RefreshToken != nil {
				t.Errorf("the refresh token is in the body: %s", answer.Body)
			}
			c.AccessToken = got.Payload.AccessToken
		}
		keep(t, c, c.Do(t, refreshByCookie, nil))
	})

	t.Run("logs out by cookie alone and removes it", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		c.AccessToken = ""
		answer := c.Do(t, `mutation { logout { endedSessions } }`, nil)
		if raw := keep(t, srv.Anonymous(), answer); !strings.Contains(raw, "Max-Age=0") ||
			!strings.HasPrefix(raw, cookieName+"=;") {
			t.Errorf("the cookie was not removed: %q", raw)
		}
		answer = c.Do(t, refreshByCookie, nil)
		answer.Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		if answer.Header.Get("Set-Cookie") != "" {
			t.Error("a failed refresh changed the cookie")
		}
	})

	t.Run("leaves the cookie of another session alone", func(t *testing.T) {
		t.Parallel()
		c, owner := signedIn(t, srv)
		c.AccessToken = owner.AccessToken
		answer := c.Do(t, `mutation { logout { endedSessions } }`, nil)
		if len(answer.Errors) > 0 || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("logout of another session: %s, cookie %q", answer.Body, answer.Header.Get("Set-Cookie"))
		}
		keep(t, c, c.Do(t, refreshByCookie, nil))
	})

	t.Run("does not affect a client that sends a header", func(t *testing.T) {
		t.Parallel()
		owner := srv.As(t)
		owner.Refresh(t)
		if answer := owner.Do(t, `mutation { logout { endedSessions } }`, nil); len(answer.Errors) > 0 ||
			answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("logout: %s", answer.Body)
		}
	})

	t.Run("never takes an access token from a cookie", func(t *testing.T) {
		t.Parallel()
		c, _ := signedIn(t, srv)
		token := c.AccessToken
		c.AccessToken = ""
		c.Header.Set("Cookie", c.Header.Get("Cookie")+"; access_token="+token+"; Authorization="+token)
		c.Do(t, `{ me { id } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
	})
}

func TestCORS(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, withPage)
	preflight := func(t *testing.T, origin string) http.Header {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, srv.URL+"/graphql", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", http.MethodPost)
		request.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return response.Header
	}
	t.Run("allows a listed origin with cookies", func(t *testing.T) {
		t.Parallel()
		h := preflight(t, page)
		if h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("preflight: %v", h)
		}
		answer := browser(srv, page).Do(t, `{ __typename }`, nil)
		if answer.Header.Get("Access-Control-Allow-Origin") != page || !json.Valid(answer.Body) {
			t.Errorf("answer: %v", answer.Header)
		}
	})
	t.Run("allows no other", func(t *testing.T) {
		t.Parallel()
		for _, origin := range []string{"https://evil.example.com", "null", page + ".evil.com", "http://app.example.com"} {
			for name, h := range map[string]http.Header{
				"preflight": preflight(t, origin),
				"answer":    browser(srv, origin).Do(t, `{ __typename }`, nil).Header,
			} {
				if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s to %s: %v", name, origin, h)
				}
			}
		}
	})
}
