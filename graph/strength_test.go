package graph_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/password"
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

func TestBreachedPasswordsCannotBeSet(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "breached.gwb")
	write := func(passwords ...string) {
		t.Helper()
		builder := password.NewBreachedBuilder(uint64(len(passwords)), password.MinFalsePositives)
		for _, one := range passwords {
			builder.Add(sha1.Sum([]byte(one)))
		}
		var list bytes.Buffer
		if _, err := builder.WriteTo(&list); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path+".tmp", list.Bytes(), 0o600), os.Rename(path+".tmp", path)); err != nil {
			t.Fatal(err)
		}
	}
	write("zurich lake 47")
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.BreachedPasswords = path })
	const register = `mutation { register(input: {email: "new@example.com", password: "zurich lake 47"}) { auth { tokenType } } }`
	const change = `mutation($old: String!, $new: String!) {
		changePassword(input: {currentPassword: $old, newPassword: $new}) { tokenType } }`
	c := srv.As(t)
	c.Do(t, register, nil).Refused(t, "BAD_USER_INPUT", "PASSWORD_BREACHED")
	c.Do(t, change, vars{"old": apptest.Password, "new": "zurich lake 47"}).
		Refused(t, "BAD_USER_INPUT", "PASSWORD_BREACHED")
	c.Do(t, `mutation($email: String!) { requestPasswordReset(input: {email: $email}) { accepted } }`,
		vars{"email": c.Email}).Into(t, &struct{}{})
	c.Do(t, `mutation($token: String!, $new: String!) {
		resetPassword(input: {token: $token, newPassword: $new}) { accepted } }`,
		vars{"token": srv.Secret(t, mail.ResetPassword), "new": "zurich lake 47"}).
		Refused(t, "BAD_USER_INPUT", "PASSWORD_BREACHED")
	var got struct{ PasswordStrength strength }
	c.Do(t, passwordStrength, vars{"password": "zurich lake 47"}).Into(t, &got)
	if s := got.PasswordStrength; s.Reason != "PASSWORD_BREACHED" || s.Score != 0 {
		t.Errorf("%+v", s)
	}

	write(apptest.Password) // of an existing account
	if err := srv.App.Reload(); err != nil {
		t.Fatal(err)
	}
	c = c.Login(t)
	c.Do(t, change, vars{"old": apptest.Password, "new": "zurich lake 47"}).Into(t, &struct{}{})
}
