package app_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
)

// loginIP logs in and returns the address that the session records.
const loginIP = `mutation($email: String!, $password: String!) {
	login(input: {email: $email, password: $password}) { session { ip } }
}`

// TestTheProgramServesTLS runs the program with a certificate, and checks requests, a WebSocket and the banner.
func TestTheProgramServesTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	tlstest.Write(t, cert, key, "test", time.Now().Add(time.Hour))
	srv := serve(t, dir, "--tls-cert=cert.pem", "--tls-key=key.pem")
	client := tlstest.Client(t, cert)
	resp, err := client.Get(srv.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Strict-Transport-Security"); resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" ||
		got != "max-age=31536000" {
		t.Errorf("%s %s, Strict-Transport-Security: %q", resp.Proto, resp.Status, got)
	}
	conn, _, err := websocket.Dial(t.Context(), "wss"+srv.URL[len("https"):]+"/graphql",
		&websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
		t.Error(err)
	}
	if _, data, err := conn.Read(t.Context()); err != nil || string(data) != `{"type":"pong"}` {
		t.Errorf("%s %v", data, err)
	}
	_ = conn.CloseNow()
	srv.stop(t)
	refused(
		t, dir, []string{"--tls-cert=cert.pem", "--tls-key=cert.pem", "--listen=127.0.0.1:0"},
		"--tls-key: cert.pem and cert.pem",
	)
	refused(
		t, dir, []string{"--tls-cert=nowhere.pem", "--tls-key=nowhere.pem", "--listen=127.0.0.1:0"},
		"--tls-cert and --tls-key", "nowhere.pem",
	)
	refused(t, dir, []string{"--trusted-proxies=everybody"}, "--trusted-proxies", "everybody")
}

// TestHSTSFollowsThePublicURL simulates a proxy that terminates TLS.
func TestHSTSFollowsThePublicURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{"https://api.example.com": "max-age=31536000", "http://api.example.com": ""} {
		srv := apptest.Start(t, func(o *apptest.Options) { o.Config.PublicURL = url })
		if got := srv.Anonymous().Do(t, "{ __typename }", nil).Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// TestSessionsAndThrottlesKnowTheClientBehindAProxy sends requests of two clients through a trusted proxy.
func TestSessionsAndThrottlesKnowTheClientBehindAProxy(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Config.TrustedProxies = []string{"127.0.0.1", "::1"}
		o.Config.LoginAddressLimit.Burst = 2
	})
	c := srv.As(t)
	from := func(header ...string) *apptest.Client {
		other := srv.Anonymous()
		other.Email = c.Email
		for i := 0; i < len(header); i += 2 {
			other.Header.Add(header[i], header[i+1])
		}
		return other
	}
	in := func(c *apptest.Client) *apptest.Answer {
		return c.Do(
			t,
			loginIP,
			map[string]any{"email": c.Email, "password": apptest.Password},
		)
	}
	for _, test := range []struct {
		header []string
		want   string
	}{
		{[]string{"X-Forwarded-For", "192.0.2.1, 203.0.113.9"}, "203.0.113.9"},
		{[]string{"Forwarded", `for=192.0.2.1, for="[2001:db8::9]:1"`}, "2001:db8::9"},
		{[]string{"X-Real-IP", "192.0.2.1", "CF-Connecting-IP", "192.0.2.1", "True-Client-IP", "192.0.2.1"}, "127.0.0.1"},
	} {
		var out struct {
			Login struct{ Session struct{ IP string } }
		}
		in(from(test.header...)).Into(t, &out)
		if got := out.Login.Session.IP; got != test.want {
			t.Errorf("%q: the session is of %q, want %q", test.header, got, test.want)
		}
	}
	stranger := func(forged string) *apptest.Client {
		other := from("X-Forwarded-For", forged+", 198.51.100.7")
		other.Email = "nobody@example.com"
		return other
	}
	in(stranger("192.0.2.1")).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	in(stranger("192.0.2.2")).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	in(stranger("192.0.2.3")).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	if a := in(from("X-Forwarded-For", "198.51.100.8")); len(a.Errors) > 0 {
		t.Errorf("another client of the proxy: %s", a.Body)
	}
}

func TestForwardedAddressesOfUntrustedProxiesAreIgnored(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.TrustedProxies = []string{"192.0.2.1"} })
	c := srv.As(t)
	c.Header = http.Header{
		"X-Forwarded-For": {"203.0.113.9"},
		"Forwarded":       {"for=203.0.113.9"},
		"X-Real-Ip":       {"203.0.113.9"},
	}
	var out struct {
		Login struct{ Session struct{ IP string } }
	}
	c.Do(t, loginIP,
		map[string]any{"email": c.Email, "password": apptest.Password}).
		Into(t, &out)
	if got := out.Login.Session.IP; got != "127.0.0.1" {
		t.Errorf("%q", got)
	}
}

func TestTheBannerNamesAPublicExplorer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says []string
	}{
		{nil, []string{"Next: open http://"}},
		{[]string{
			"--production", "--secret=" + longSecret, "--public-url=https://api.example.com", "--explorer",
			"--insecure-explorer",
		},
			[]string{"Clients find it at https://api.example.com/graphql.", "GraphiQL is public at https://api.example.com/"}},
	} {
		cmd := program(t, t.TempDir(), nil, append(test.args, "--listen=127.0.0.1:0")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		banner := bufio.NewReader(out)
		first, _ := banner.ReadString('\n')
		if !listening.MatchString(first) {
			t.Errorf("%q: %q", test.args, first)
		}
		for _, want := range test.says {
			if line, err := banner.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
				t.Errorf("%q: %q %v", test.args, line, err)
			}
		}
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
}

// Other servers have left these pages open.
func TestProductionServesNoOtherPages(t *testing.T) {
	t.Parallel()
	srv := serve(
		t, t.TempDir(), "--production", "--secret="+longSecret, "--public-url=https://api.example.com",
		"--metrics-listen=127.0.0.1:0",
	)
	for _, path := range []string{
		"/", "/graphiql", "/playground", "/schema.graphql", "/metrics", "/debug/pprof/", "/debug/vars", "/.env",
		"/.git/config",
		"/data/graphwarden.db", "/..%2fdata/graphwarden.db", "/assets/main.js", "/index.html",
	} {
		if response, body := get(t, srv.URL+path); response.StatusCode != 404 {
			t.Errorf("%s: %d %.100s", path, response.StatusCode, body)
		}
	}
	srv.Anonymous().Do(t, `{ __schema { types { name } } }`, nil).Refused(t, "FORBIDDEN", "INTROSPECTION_DISABLED")
	if response, _ := get(t, srv.URL+"/healthz"); response.StatusCode != 200 {
		t.Errorf("/healthz: %d", response.StatusCode)
	}
	srv.stop(t)
}

func TestTrustedDocumentsFitIntoMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "many.json"), bytes.Repeat([]byte(" "), 9<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(
		t, dir, []string{"--memory-limit=128", "--trusted-documents=many.json"}, "--trusted-documents", "many.json",
		"--memory-limit",
	)
}
