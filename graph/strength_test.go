package graph_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

const passwordStrength = `mutation($password: String!, $email: String, $username: String) {
	passwordStrength(input: {password: $password, email: $email, username: $username}) { score reason hint message } }`

type strength struct {
	Score   int
	Reason  string
	Hint    string
	Message string
}

// A form that accepts what passwordStrength accepts is never contradicted by register.
func TestPasswordStrengthJudgesAsRegisterDoes(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	const register = `mutation($password: String!, $email: String!, $username: String) {
		register(input: {password: $password, email: $email, username: $username}) { auth { tokenType } } }`
	for password, reason := range map[string]string{
		"short":                         "PASSWORD_TOO_SHORT",
		"iloveyou":                      "PASSWORD_TOO_COMMON",
		"margarete.hilf":                "PASSWORD_TOO_COMMON",
		" margarete99":                  "",
		"Margarete99":                   "PASSWORD_TOO_COMMON",
		"correct horse battery":         "",
		"\uFFFDxK4!mqzw":                "PASSWORD_INVALID",
		strings.Repeat("four", 256):     "",
		strings.Repeat("four", 257):     "PASSWORD_TOO_LONG",
		"84629173":                      "",
		strings.Repeat("xK4!mqzw", 100): "",
	} {
		in := vars{"password": password, "email": " margarete.hilf@example.com", "username": "margarete99"}
		var got struct{ PasswordStrength strength }
		srv.Anonymous().Do(t, passwordStrength, in).Into(t, &got)
		if s := got.PasswordStrength; s.Reason != reason || reason != "" && (s.Score != 0 || s.Message == "") {
			t.Errorf("%.20q: %+v, want the reason %q", password, s, reason)
		}
		a := srv.Anonymous().Do(t, register, in)
		if reason == "" {
			a.Into(t, &struct{}{})
			srv.Update(t, "DELETE FROM users")
			continue
		}
		a.Refused(t, "BAD_USER_INPUT", reason)
	}
}

// A URL is logged by proxies and kept by browsers.
func TestAPasswordIsNotRatedByGET(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	const document = `mutation { passwordStrength(input: {password: "a secret"}) { score } }`
	persisted := `{"persistedQuery":{"version":1,"sha256Hash":"` + hashOf(document) + `"}}`
	if got := outcome(t, srv, map[string]any{
		"query": document, "extensions": hashed(hashOf(document), 1),
	}); !strings.Contains(got, "score") {
		t.Fatalf("POST: %s", got)
	}
	for name, query := range map[string]url.Values{
		"a document":           {"query": {document}},
		"a persisted document": {"extensions": {persisted}},
	} {
		response, err := http.Get(srv.URL + "/graphql?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "POST" {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
	}
}
