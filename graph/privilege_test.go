package graph_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// Users cannot set fields that are not offered to them, nor administrators' fields on their own account.
func TestUsersCannotRaiseTheirPrivileges(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	victim, c := srv.As(t), srv.As(t)
	const register = `mutation($in: RegisterInput!) { register(input: $in) { auth { tokenType } } }`
	const update = `mutation($in: UpdateProfileInput!) { updateProfile(input: $in) { id } }`
	before := rows(t, srv, victim)
	for field, value := range map[string]any{
		"id": victim.UserID, "userId": victim.UserID, "roles": []string{"ADMIN"}, "role": "ADMIN", "emailVerified": true,
		"disabled": false,
		"version":  1, "passwordHash": "$2a$04$", "createdAt": "2026-01-01T00:00:00Z",
	} {
		for document, in := range map[string]vars{
			register: {"email": "new@example.com", "password": apptest.Password}, update: {"name": "Eve"}} {
			in[field] = value
			a := c.Do(t, document, vars{"in": in})
			a.Refused(t, "BAD_USER_INPUT", "MALFORMED")
			holdsContract(t, sdl(t), a)
		}
	}
	for _, document := range []string{
		`mutation { register(input: {email: "new@example.com", password: "an unlikely passphrase", roles: [ADMIN]}) { auth { tokenType } } }`,
		`mutation { updateProfile(input: {roles: [ADMIN]}) { id } }`,
		`mutation { updateProfile(input: {name: "Eve"}, id: "` + string(victim.UserID) + `") { id } }`,
	} {
		c.Do(t, document, nil).Refused(t, "GRAPHQL_VALIDATION_FAILED", "")
	}
	c.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{"ADMIN"}}).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
	if diff := cmp.Diff(before, rows(t, srv, victim)); diff != "" {
		t.Error(diff)
	}
	var got struct {
		Me struct {
			Name  string
			Roles []string
		}
	}
	c.Do(t, `{ me { name roles } }`, nil).Into(t, &got)
	if got.Me.Name != "" || len(got.Me.Roles) != 1 || got.Me.Roles[0] != "USER" {
		t.Errorf("%+v", got)
	}
}

// RFC 6750, sections 2.2 and 2.3, allows tokens in bodies and URLs. URLs end up in logs, and RFC 9700, section 4.3.2,
// forbids them.
func TestTokensAreTakenFromTheHeaderAlone(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	const me = `{ me { id } }`
	body := func(members vars) []byte {
		members["query"] = me
		text, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	query := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = url.Values{name: {c.AccessToken}}.Encode() }
	}
	get := func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0
		r.URL.RawQuery = url.Values{"query": {me}, "access_token": {c.AccessToken}}.Encode()
	}
	bearer := "Bearer " + c.AccessToken
	for name, a := range map[string]*apptest.Answer{
		"access_token in the URL":  srv.Send(t, body(vars{}), query("access_token")),
		"token in the URL":         srv.Send(t, body(vars{}), query("token")),
		"Authorization in the URL": srv.Send(t, body(vars{}), query("Authorization")),
		"the URL of a GET":         srv.Send(t, nil, get),
		"a member of the body":     srv.Send(t, body(vars{"access_token": c.AccessToken, "Authorization": bearer})),
		"variables": srv.Send(
			t, body(vars{"variables": vars{"access_token": c.AccessToken, "authorization": bearer}}),
		),
		"extensions": srv.Send(
			t, body(vars{"extensions": vars{"access_token": c.AccessToken, "authorization": bearer}}),
		),
		"X-Authorization":           srv.Send(t, body(vars{}), with("X-Authorization", bearer)),
		"X-Access-Token":            srv.Send(t, body(vars{}), with("X-Access-Token", c.AccessToken)),
		"X-Forwarded-Authorization": srv.Send(t, body(vars{}), with("X-Forwarded-Authorization", bearer)),
		"Proxy-Authorization":       srv.Send(t, body(vars{}), with("Proxy-Authorization", bearer)),
		"a cookie": srv.Send(
			t, body(vars{}), with("Cookie", "access_token="+c.AccessToken+"; Authorization="+c.AccessToken),
		),
	} {
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "TOKEN_MISSING" || a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := srv.Send(t, body(vars{}), with("Authorization", bearer)); len(a.Errors) > 0 {
		t.Errorf("in its header: %s", a.Body)
	}
}
