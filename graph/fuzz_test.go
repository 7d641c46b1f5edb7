package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/graph"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
)

// FuzzCursor looks for a cursor that the server accepts for a list but did not issue for it.
func FuzzCursor(f *testing.F) {
	key, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		f.Fatal(err)
	}
	cursors := graph.NewCursors(key)
	positions := []store.Position{
		{"1", "a"}, {"1763798400000000", "01890a5d-ac96-774b-bcce-b302099a8057"}, {""}, {"x\x00y"},
	}
	const users, sessions = "users", "sessions"
	issued := map[string]string{} // the list of each cursor
	for _, at := range positions {
		for _, list := range []string{users, sessions} {
			cursor := cursors.WriteCursor(list, at)
			issued[cursor] = list
			for _, seed := range []string{
				cursor, cursor + "=", cursor[1:], cursor[:len(cursor)-1] + "_", cursor + "AA", "\n" + cursor,
			} {
				f.Add(list, seed)
			}
		}
	}
	f.Add("users\x001", cursors.WriteCursor(users, store.Position{"1", "a"}))
	f.Fuzz(func(t *testing.T, list, cursor string) {
		at, ok := cursors.ReadCursor(list, cursor)
		if !ok {
			if list != "" && issued[cursor] == list {
				t.Errorf("a cursor of %s is refused: %q", list, cursor)
			}
			return
		}
		if issued[cursor] != list {
			t.Errorf("%q is accepted in %q as %q", cursor, list, at)
		}
		if again := cursors.WriteCursor(list, at); again != cursor {
			t.Errorf("%q has another spelling, %q", cursor, again)
		}
	})
}

// FuzzRequest sends any body with any media type to the whole server. The answer to a malformed request must not quote
// it, and no answer may be a server error.
func FuzzRequest(f *testing.F) {
	const plain = "application/json"
	for _, query := range []string{`{ __typename }`, `{ me { id } }`, `mutation { login(input: {email: "a@example.com", password: "plantedxq7"}) { tokenType } }`, `{ verifyToken(token: "plantedxq7") { active } }`,
		`mutation { logout(input: {scope: ALL, refreshToken: "gwr_"}) { endedSessions } }`, `{ users(first: 3, after: "x", search: "%") { totalCount } }`, `{ __schema { types { name } } }`} {
		f.Add(plain, request(query, map[string]any{"a": []any{1, "plantedxq7"}}))
	}
	f.Add(
		plain,
		`{"query": "query($i: LoginInput!) { login(input: $i) { tokenType } }", "variables": {"i": {"email": 1, "password": ["plantedxq7"]}}}`,
	)
	f.Add(plain, `{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "plantedxq7"}}}`)
	f.Add(plain, `[{"query": "{ me { id } }"}]`)
	f.Add(
		"multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\": \"{ me { id } }\"}\r\n--b\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{\"0\": [\"variables.f\"]}\r\n--b--",
	)
	f.Add("application/x-www-form-urlencoded", "query={__typename}&plantedxq7")
	f.Add("application/json; charset=utf-16", "\xff\xfe{\x00}\x00")
	var handler http.Handler
	apptest.Start(f, func(o *apptest.Options) {
		o.Handler = func(h http.Handler) http.Handler { handler = h; return h }
	})
	f.Fuzz(func(t *testing.T, media, body string) {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header["Content-Type"] = []string{media}
		r.Header.Set("Accept", "application/graphql-response+json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var a struct{ Errors []apptest.Error }
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("the answer is not JSON: %q", w.Body)
		}
		if w.Code >= 500 || slices.ContainsFunc(a.Errors, func(e apptest.Error) bool {
			return e.Extensions.Code == "INTERNAL_SERVER_ERROR" || e.Extensions.Code == ""
		}) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if strings.Contains(media, "multipart") && !strings.Contains(media, plain) &&
			w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s gets %d %s", media, w.Code, w.Body)
		}
		if !json.Valid([]byte(body)) && (w.Code < 400 || strings.Contains(w.Body.String(), canary)) {
			t.Errorf("a body that is not JSON gets %d %s", w.Code, w.Body)
		}
	})
}
