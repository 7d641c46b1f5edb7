package graph_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
)

// everything returns all values in the database, by table and column.
func everything(t *testing.T, srv *apptest.Server) map[string][]string {
	t.Helper()
	columns := `SELECT m.name AS of, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'`
	if srv.App.DB.Dialect() == store.Postgres {
		columns = `SELECT table_name AS of, column_name AS name FROM information_schema.columns WHERE table_schema = current_schema()`
	}
	var list []struct{ Of, Name string }
	if err := srv.App.DB.Select(t.Context(), &list, columns); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, c := range list {
		var values []string
		if err := srv.App.DB.Select(t.Context(), &values, `SELECT COALESCE(CAST("`+c.Name+`" AS TEXT), '') FROM "`+c.Of+`"`); err != nil {
			t.Fatal(err)
		}
		all[c.Of+"."+c.Name] = values
	}
	return all
}

// A reader of the database or a backup gets neither a password nor anything that signs in.
func TestTheDatabaseContainsNothingThatSignsIn(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		other := c.Login(t)
		spent := c.RefreshToken
		c.Refresh(t)
		c.Do(t, `{ me { id } }`, nil).Into(t, &struct{}{})
		srv.Anonymous().Do(t, loginMutation, vars{"email": c.Email, "password": "a wrong passphrase"})
		other.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		secrets := map[string]string{
			"the password":     apptest.Password,
			"a wrong password": "a wrong passphrase",
			"the secret":       srv.App.Config.Secret,
		}
		for name, token := range map[string]string{"the access token": c.AccessToken, "another access token": other.AccessToken,
			"the refresh token": c.RefreshToken, "a spent refresh token": spent, "an ended session's refresh token": other.RefreshToken} {
			secrets[name], secrets["the end of "+name] = token, token[len(token)-40:]
			if mac, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "gwr_")); err == nil {
				secrets["the bytes of "+name] = string(mac[len(mac)-32:])
			}
		}
		all := everything(t, srv)
		for column, values := range all {
			for _, value := range values {
				for name, secret := range secrets {
					if strings.Contains(value, secret) {
						t.Errorf("%s contains %s: %q", column, name, value)
					}
				}
				if strings.Contains(value, "PRIVATE KEY") || strings.Contains(value, `"d":`) {
					t.Errorf("%s contains a private key: %q", column, value)
				}
			}
		}
		// Throttle counters could reveal who signed in from where.
		for _, column := range []string{"throttle.key", "known_addresses.key"} {
			if len(all[column]) == 0 {
				t.Errorf("%s is empty", column)
			}
			for _, value := range all[column] {
				for _, told := range []string{c.Email, string(c.UserID), "127.0.0.1"} {
					if strings.Contains(value, told) {
						t.Errorf("%s reveals %s", column, told)
					}
				}
			}
		}
		if hashes := all["users.password_hash"]; len(hashes) != 1 || !strings.HasPrefix(hashes[0], "gw1$") ||
			len(all["signing_keys.sealed"]) == 0 {
			t.Errorf("the search is broken: %q of %d columns", hashes, len(all))
		}
	})
}
