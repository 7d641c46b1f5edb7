package app_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web"
)

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestServesWithNothingSet(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir())
	for path, want := range map[string]struct{ contentType, text string }{
		"/healthz":        {"text/plain", "live"},
		"/readyz":         {"text/plain", "ready"},
		"/":               {"text/html", "<html"},
		"/schema.graphql": {"application/graphql", "type User implements Node @auth"},
	} {
		response, body := get(t, srv.URL+path)
		if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), want.contentType) ||
			!strings.Contains(body, want.text) {
			t.Errorf("%s: %d %v %.200s", path, response.StatusCode, response.Header, body)
		}
		if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("Server") != "" {
			t.Errorf("%s: %v", path, response.Header)
		}
	}
	if response, _ := get(t, srv.URL+"/.env"); response.StatusCode != 404 {
		t.Errorf("/.env: %d", response.StatusCode)
	}
	srv.stop(t)
}

func TestIntrospectionFollowsTheSetting(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]struct {
		stranger, forged, user, admin int
		challenge                     string
	}{
		"public":        {200, 200, 200, 200, ""},
		"authenticated": {401, 401, 200, 200, ""},
		"ADMIN":         {401, 401, 403, 200, `Bearer error="insufficient_scope"`},
		"off":           {404, 404, 404, 404, ""},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			srv := serve(t, dir, "--bcrypt-cost=4", "--introspection="+setting)
			c, admin := srv.As(t), srv.As(t)
			run(t, dir, "user", "role", admin.Email, "--add=ADMIN")
			await(t, "the new role is in force", func() bool { return reason(t, admin, srv) == "TOKEN_STALE" })
			admin.Refresh(t)
			for caller, test := range map[string]struct {
				status           int
				token, challenge string
			}{
				"a stranger":       {want.stranger, "", "Bearer"},
				"a forger":         {want.forged, c.AccessToken + "x", `Bearer error="invalid_token"`},
				"a user":           {want.user, c.AccessToken, want.challenge},
				"an administrator": {want.admin, admin.AccessToken, ""},
			} {
				var header []string
				if test.token != "" {
					header = []string{"Authorization", "Bearer " + test.token}
				}
				response, body := get(t, srv.URL+"/schema.graphql", header...)
				if response.StatusCode != test.status ||
					(test.status == 200) != strings.Contains(body, "type User implements Node @auth") {
					t.Errorf("%s: %d %.100s", caller, response.StatusCode, body)
				}
				if test.status == 200 || test.status == 404 {
					test.challenge = ""
				}
				if got := response.Header.Get("WWW-Authenticate"); got != test.challenge {
					t.Errorf("%s is challenged with %q", caller, got)
				}
				if vary := response.Header.Get("Vary"); test.status != 404 && vary != "Authorization" {
					t.Errorf("%s: Vary %q: a cache would give one caller's answer to the next", caller, vary)
				}
			}
			srv.stop(t)
		})
	}
}

func TestAcknowledgedChangesSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := serve(t, dir, "--bcrypt-cost=4")
	c := srv.As(t)
	other := c.Login(t)
	var me struct{ Me struct{ Email string } }
	c.Do(t, `{ me { email } }`, nil).Into(t, &me)
	if me.Me.Email != c.Email {
		t.Errorf("signed in as %q", me.Me.Email)
	}
	c.Refresh(t)
	c.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
	c.Do(t, `{ me { email } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
	srv.stop(t)

	srv = serve(t, dir) // loads the same keys
	other.Server, c.Server = srv.Server, srv.Server
	other.Do(t, `{ me { email } }`, nil).Into(t, &me)
	other.Refresh(t)
	c.Do(t, `{ me { email } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
	srv.stop(t)
}

func TestOthersVerifyTokensByTheJWKS(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir(), "--bcrypt-cost=4")
	response, body := get(t, srv.URL+"/.well-known/jwks.json")
	if h := response.Header; h.Get("Content-Type") != "application/jwk-set+json" ||
		h.Get("Cache-Control") != "public, max-age=1800" ||
		h.Get("ETag") == "" {
		t.Errorf("%v", h)
	}
	again, _ := get(t, srv.URL+"/.well-known/jwks.json", "If-None-Match", response.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("with the ETag: %d", again.StatusCode)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() || key.Use != "sig" || key.Algorithm != "ES256" {
			t.Errorf("key %s: public %t, use %q, algorithm %q", key.KeyID, key.IsPublic(), key.Use, key.Algorithm)
		}
	}
	c := srv.As(t)
	signed, err := jose.ParseSignedCompact(c.AccessToken, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys with the id of the token", len(keys))
	}
	payload, err := signed.Verify(keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Sub string }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Sub != string(c.UserID) {
		t.Errorf("%s, %v", payload, err)
	}
	srv.stop(t)
}

func TestReadinessFollowsTheServer(t *testing.T) {
	t.Parallel()
	c := apptest.Config(t)
	if problems := c.Complete(func(string) bool { return true }); problems != nil {
		t.Fatal(problems)
	}
	a, err := app.Open(t.Context(), c, app.Serves, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	health := web.NewHealth(a.Ready)
	handler, err := a.Handler(health)
	if err != nil {
		t.Fatal(err)
	}
	status := func(path string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code
	}
	rename := func(from, to string) {
		t.Helper()
		err := a.DB.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("ALTER TABLE " + from + " RENAME TO " + to)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rename("revocations", "hidden")
	if got := status("/readyz"); got != 503 {
		t.Errorf("while revocations cannot be read: %d", got)
	}
	rename("hidden", "revocations")
	if err := a.View.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status("/readyz"); got != 200 {
		t.Errorf("after: %d", got)
	}
	health.Stop()
	if ready, live := status("/readyz"), status("/healthz"); ready != 503 || live != 200 {
		t.Errorf("stopping: ready %d, live %d", ready, live)
	}
}

// A half-received request delays the stop by at most --drain-timeout.
func TestASecondSignalKillsTheServer(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir(), "--drain-timeout=10m")
	address := strings.TrimPrefix(srv.URL, "http://")
	half, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	const head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
	if _, err := io.WriteString(half, head); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(half).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("the body is not awaited: %q, %v", line, err)
	}
	stopping := func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}
	if err := srv.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); !stopping(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > deadline {
			t.Fatal("the first signal does not stop it")
		}
	}
	if err := srv.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-srv.exited:
		if err == nil {
			t.Error("it waited for the request")
		}
	case <-time.After(deadline):
		t.Error("the stop still waits")
	}
}

// During --stop-delay the server accepts connections, but is not ready, and each response closes its connection.
func TestTheStopDelayServesAndASecondSignalEndsIt(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir(), "--stop-delay=10m")
	if response, _ := get(t, srv.URL+"/readyz"); response.StatusCode != 200 || response.Close {
		t.Errorf("before: %d, closes %t", response.StatusCode, response.Close)
	}
	if err := srv.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not ready", func() bool {
		response, _ := get(t, srv.URL+"/readyz")
		return response.StatusCode == 503
	})
	if response, _ := get(t, srv.URL+"/graphql?query={__typename}", "Accept", "*/*"); response.StatusCode != 200 ||
		!response.Close {
		t.Errorf("stopping: %d, closes %t", response.StatusCode, response.Close)
	}
	if err := srv.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-srv.exited:
		if err == nil {
			t.Error("it waited")
		}
	case <-time.After(deadline):
		t.Error("the server does not stop")
	}
}

func TestASecondServerOnOneFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := serve(t, dir, "--bcrypt-cost=4")
	refused(t, dir, []string{"--listen=127.0.0.1:0"}, "another server is running on data/graphwarden.db", "--database")
	run(t, dir, "user", "list") // commands work beside a server
	srv.stop(t)
	serve(t, dir).stop(t)
}

func TestStartErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	const long = "hunter2 hunter2 hunter2 hunter2 hunter2"
	for name, test := range map[string]struct {
		args []string
		says []string
	}{
		"a folder that cannot be written": {[]string{"--database=sqlite:file/test.db"}, []string{"folder", "--database"}},
		"the same, with a secret": {
			[]string{"--database=sqlite:file/test.db", "--secret=" + long}, []string{"folder", "--database"},
		},
		"a database that is none": {
			[]string{"--database=sqlite:file", "--secret=" + long},
			[]string{"cannot write the database file", "restore a backup", "--database"},
		},
		"an unreachable Postgres": {
			[]string{"--database=postgres://jane:hunter2@" + nowhere + "/x", "--secret=" + long},
			[]string{"cannot reach Postgres at " + nowhere, "--database"},
		},
		"Postgres without a secret": {
			[]string{"--database=postgres://jane:hunter2@" + nowhere + "/x"},
			[]string{"--secret is needed with Postgres", "openssl rand"},
		},
		"a malformed URL": {
			[]string{"--database=postgres://jane:hunter2%@host/x", "--secret=" + long},
			[]string{"--database is not a URL", "percent-encode"},
		},
		"a short secret": {[]string{"--secret=hunter2"}, []string{"--secret must have at least 32 bytes"}},
		"an address in use": {
			[]string{"--listen=" + taken.Addr().String()}, []string{"cannot listen on " + taken.Addr().String(), "--listen"},
		},
		"an unknown flag": {[]string{"--hunter"}, []string{"unknown flag --hunter", "--help"}},
		"production with all that is open": {
			[]string{"--production", "--bcrypt-cost=4", "--introspection=public"},
			[]string{"--secret", "--public-url", "--bcrypt-cost", "--introspection"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "file"), []byte("not a database"), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, test.args, test.says...)
		})
	}
}

func TestKeysOfAnotherSecretAreRefused(t *testing.T) {
	t.Parallel()
	const first, second = "the first secret, of more than 32 bytes", "hunter2, a second secret of more than 32 bytes"
	dir := t.TempDir()
	run(t, dir, "--secret="+first, "migrate")
	refused(t, dir, []string{"--secret=" + second}, "another secret", "--accept-secret")
	// To change the secret, accept the new one first, then make it current.
	run(t, dir, "--secret="+first, "--accept-secret="+second, "migrate")
	run(t, dir, "--secret="+second, "--accept-secret="+first, "migrate")
}

// await calls f until it returns true.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(follows); ; {
		if f() {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within %s", what, follows)
		}
	}
}

// reason returns the reason with which the query me is refused, or "".
func reason(t *testing.T, c *apptest.Client, at *server) string {
	t.Helper()
	there := *c
	there.Server = at.Server
	if a := there.Do(t, `{ me { id } }`, nil); len(a.Errors) > 0 {
		return a.Errors[0].Extensions.Reason
	}
	return ""
}

func TestRunningServersApplyCommands(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		settings := []string{
			"--database=" + url, "--secret=the one secret of these servers, long enough", "--public-url=http://localhost",
			"--bcrypt-cost=4",
		}
		verb := func(args ...string) string {
			t.Helper()
			return run(t, dir, append(settings, args...)...)
		}
		servers := []*server{serve(t, dir, settings...)}
		if strings.HasPrefix(url, "postgres") { // replicas share the database and the issuer
			servers = append(servers, serve(t, dir, settings...))
		}
		everywhere := func(what string, c *apptest.Client, want string) {
			t.Helper()
			for _, at := range servers {
				await(t, what, func() bool { return reason(t, c, at) == want })
			}
		}
		verb("user", "role", servers[0].As(t).Email, "--add=ADMIN") // the last administrator cannot be disabled
		c := servers[0].As(t)
		everywhere("a token of one server", c, "")

		verb("user", "role", c.Email, "--add=ADMIN")
		everywhere("user role", c, "TOKEN_STALE")
		c.Refresh(t)
		everywhere("the refreshed token", c, "")

		verb("user", "disable", c.Email)
		everywhere("user disable", c, "TOKEN_REVOKED")
		verb("user", "enable", c.Email)

		c = c.Login(t)
		everywhere("a new sign-in", c, "")
		active := regexp.MustCompile(`(?m)^(\S+) +ES256 +active`).FindStringSubmatch(verb("key", "list"))
		if active == nil {
			t.Fatal("no key is active")
		}
		verb("key", "revoke", active[1])
		everywhere("key revoke", c, "TOKEN_INVALID")
		c.Refresh(t)
		everywhere("a token of the next key", c, "")

		var group sync.WaitGroup
		for _, s := range servers {
			group.Go(func() { s.stop(t) })
		}
		group.Wait()
	})
}

// With a path prefix, a proxy may strip the prefix or not.
func TestServesBelowThePathOfThePublicURL(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir(), "--public-url=http://127.0.0.1:8080/team/api/")
	_, page := get(t, srv.URL+"/")
	script := regexp.MustCompile(`src="(/team/api/explorer/[^"]+/main\.js)"`).FindStringSubmatch(page)
	if script == nil || !strings.Contains(page, `data-endpoint="/team/api/graphql"`) {
		t.Fatalf("the page: %s", page)
	}
	stripped := strings.TrimPrefix(script[1], "/team/api")
	for _, path := range []string{
		script[1], stripped, "/team/api/", "/team/api/healthz", "/healthz", "/team/api/schema.graphql",
		"/team/api/.well-known/jwks.json", "/team/api/graphql?query={__typename}", "/graphql?query={__typename}",
	} {
		if response, body := get(t, srv.URL+path, "Accept", "*/*"); response.StatusCode != 200 {
			t.Errorf("%s: %d %.100s", path, response.StatusCode, body)
		}
	}
	srv.stop(t)

	srv = serve(t, t.TempDir(), "--public-url=http://127.0.0.1:8080/team/api", "--path-prefix=/gateway")
	if _, page := get(t, srv.URL+"/gateway/"); !strings.Contains(page, `data-endpoint="/team/api/graphql"`) {
		t.Errorf("the page behind a gateway: %s", page)
	}
	if response, _ := get(t, srv.URL+"/team/api/healthz"); response.StatusCode != 404 {
		t.Errorf("the path before the gateway: %d", response.StatusCode)
	}
	for _, path := range []string{"/gateway/gateway/healthz", "/gate/healthz", "/gatewayhealthz"} {
		if response, _ := get(t, srv.URL+path); response.StatusCode != 404 {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	srv.stop(t)
}
