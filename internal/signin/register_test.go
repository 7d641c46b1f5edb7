package signin_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
)

func TestRegisterSignsIn(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.Anonymous()
		var out struct{ Register struct{ Auth apptest.Auth } }
		tryRegister(t, srv, input{"email": "Jane.Doe@Example.com", "password": "eleven trees", "username": "jane",
			"name": "Jane"}).Into(t, &out)
		c.Take(out.Register.Auth)
		var got struct{ Me input }
		c.Do(t, me, nil).Into(t, &got)
		want := input{"id": string(c.UserID), "email": "Jane.Doe@Example.com", "username": "jane", "name": "Jane",
			"roles": []any{"USER"}, "disabled": false}
		if diff := cmp.Diff(want, got.Me); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]audit.Action{audit.UserCreated}, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRegisterReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		a := tryRegister(t, srv, input{"email": "unknown", "password": "short", "username": "No", "name": "a\u0000b"})
		a.Refused(t, "BAD_USER_INPUT", "EMAIL_INVALID")
		want := []string{"input.email EMAIL_INVALID", "input.username USERNAME_INVALID", "input.name NAME_INVALID",
			"input.password PASSWORD_TOO_SHORT"}
		if diff := cmp.Diff(want, fields(a)); diff != "" {
			t.Error(diff)
		}
		if a.Status != 200 || srv.Count(t, "SELECT count(*) FROM users") != 0 {
			t.Errorf("status %d", a.Status)
		}
	})
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	good := input{"email": "a@example.com", "password": "eleven trees"}
	for name, test := range map[string]struct {
		change input
		field  string
	}{
		"no address":             {input{"email": " "}, "input.email REQUIRED"},
		"a long address":         {input{"email": strings.Repeat("a", 250) + "@example.com"}, "input.email TOO_LONG"},
		"a look-alike address":   {input{"email": "ａ@example.com"}, "input.email EMAIL_INVALID"},
		"an invisible character": {input{"email": "a\u200b@example.com"}, "input.email EMAIL_INVALID"},
		"a NUL in the address":   {input{"email": "a\x00@example.com"}, "input.email EMAIL_INVALID"},
		"a common password":      {input{"password": "Password1"}, "input.password PASSWORD_TOO_COMMON"},
		"the address as password": {
			input{"email": "long.name@example.com", "password": "Long.Name@example.com"}, "input.password PASSWORD_TOO_COMMON"},
		"the username as password": {
			input{"username": "unusual.name", "password": "unusual.name"}, "input.password PASSWORD_TOO_COMMON"},
		"a password of 1,025 bytes": {
			input{"password": strings.Repeat("ab", 512) + "c"}, "input.password PASSWORD_TOO_LONG"},
		"a password not Unicode":      {input{"password": "eleven trees \ufffd"}, "input.password PASSWORD_INVALID"},
		"a NUL in the username":       {input{"username": "jane\x00"}, "input.username USERNAME_INVALID"},
		"a name of 101 characters":    {input{"name": strings.Repeat("ä", 101)}, "input.name TOO_LONG"},
		"a name that turns the line":  {input{"name": "\u202egnp.exe"}, "input.name NAME_INVALID"},
		"an upper-case username":      {input{"username": "Jane"}, "input.username USERNAME_INVALID"},
		"a username like an address":  {input{"username": "jane@example.com"}, "input.username USERNAME_INVALID"},
		"a password of only 7 points": {input{"password": "äöüßéèê"}, "input.password PASSWORD_TOO_SHORT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := input{}
			for _, part := range []input{good, test.change} {
				for k, v := range part {
					variables[k] = v
				}
			}
			a := tryRegister(t, srv, variables)
			if diff := cmp.Diff([]string{test.field}, fields(a)); diff != "" {
				t.Errorf("%s\n%s", diff, a.Body)
			}
			if password := variables["password"].(string); strings.Contains(string(a.Body), password) {
				t.Errorf("the answer repeats the password: %s", a.Body)
			}
		})
	}
}

func TestRegisterRefusesTakenNames(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		first := tryRegister(t, srv, input{"email": "Jane@example.com", "password": "eleven trees", "username": "jane"})
		if first.Errors != nil {
			t.Fatalf("%s", first.Body)
		}
		a := tryRegister(t, srv, input{"email": "jANE@Example.COM", "password": "another passphrase", "username": "other"})
		a.Refused(t, "CONFLICT", "EMAIL_TAKEN")
		if diff := cmp.Diff([]string{"input.email EMAIL_TAKEN"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		silentOnStorage(t, a)
		a = tryRegister(t, srv, input{"email": "other@example.com", "password": "another passphrase", "username": "jane"})
		a.Refused(t, "CONFLICT", "USERNAME_TAKEN")
		if diff := cmp.Diff([]string{"input.username USERNAME_TAKEN"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		silentOnStorage(t, a)
		if n := srv.Count(t, "SELECT count(*) FROM users") + srv.Count(t, "SELECT count(*) FROM sessions"); n != 2 {
			t.Errorf("%d rows, want a user and a session", n)
		}
		// The first registration is unchanged.
		if a := tryLogin(t, srv, input{"email": "jane@example.com", "password": "eleven trees"}); a.Errors != nil {
			t.Errorf("%s", a.Body)
		}
	})
}

// silentOnStorage checks that an answer does not reveal the database.
func silentOnStorage(t *testing.T, a *apptest.Answer) {
	t.Helper()
	for _, word := range []string{"constraint", "UNIQUE", "users", "email_key", "pq:", "SQL", "duplicate"} {
		if strings.Contains(strings.ToLower(string(a.Body)), strings.ToLower(word)) {
			t.Errorf("the answer contains %q: %s", word, a.Body)
		}
	}
}

func TestOneOfTwentyRegistrationsOfOneAddressWins(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		var (
			group errgroup.Group
			mu    sync.Mutex
			won   int
		)
		for i := range 20 {
			group.Go(func() error {
				// Half of them use another case.
				email := []string{"jane@example.com", "JANE@example.com"}[i%2]
				a := tryRegister(t, srv, input{"email": email, "password": "eleven trees"})
				mu.Lock()
				defer mu.Unlock()
				if len(a.Errors) == 0 {
					won++
				} else if a.Errors[0].Extensions.Reason != "EMAIL_TAKEN" {
					return fmt.Errorf("%s", a.Body)
				} else {
					silentOnStorage(t, a) // not checked with tokens, which may contain such words by chance
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		users, sessions := srv.Count(t, "SELECT count(*) FROM users"), srv.Count(t, "SELECT count(*) FROM sessions")
		if won != 1 || users != 1 || sessions != 1 {
			t.Errorf("%d successes, %d users, %d sessions, want one each", won, users, sessions)
		}
	})
}
