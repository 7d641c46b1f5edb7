package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// patience ends tests of a proxy that does not answer.
const patience = 30 * time.Second

// proxies are the examples of this folder. Each command serves url before the server at upstream.
var proxies = map[string]func(t *testing.T, address, upstream string) *exec.Cmd{
	"nginx": func(t *testing.T, address, upstream string) *exec.Cmd {
		site := replace(t, "nginx.conf", "graphwarden:8080", upstream, "listen 80", "listen "+address)
		folder := t.TempDir()
		main := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr; user root; events {}
			http {
				access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
				scgi_temp_path %[1]s/scgi; uwsgi_temp_path %[1]s/uwsgi;
				%[2]s
			}`, folder, site)
		return exec.CommandContext(t.Context(), "nginx", "-p", folder, "-e", "stderr", "-c", file(t, "nginx.conf", main))
	},
	"caddy": func(t *testing.T, address, upstream string) *exec.Cmd {
		main := "{\n\tadmin off\n\tauto_https off\n}\n" + replace(t, "Caddyfile")
		cmd := exec.CommandContext(
			t.Context(), "caddy", "run", "--adapter", "caddyfile", "--config", file(t, "Caddyfile", main))
		cmd.Env = append(os.Environ(), "SITE=http://"+address, "UPSTREAMS="+upstream, "HOME="+t.TempDir())
		return cmd
	},
}

// Streams pass the proxies unbuffered, and the server sees the client's address, whatever the client claims.
func TestProxiesPassStreamsAndAddresses(t *testing.T) {
	t.Parallel()
	for program, command := range proxies {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			installed(t, program)
			srv := apptest.Start(t, func(o *apptest.Options) { o.Config.TrustedProxies = []string{"127.0.0.1"} })
			address := unused(t)
			start(t, command(t, address, strings.TrimPrefix(srv.URL, "http://")), address)
			c := srv.As(t)
			client := from(t, "127.0.0.2")

			sse := events(t, client, "http://"+address+"/graphql", c.AccessToken)
			ws := socket(t, client, "ws://"+address+"/graphql", c.AccessToken)
			subscribed(t, srv, 2)
			login(t, client, "http://"+address+"/graphql", c.Email)
			for _, event := range []string{next(t, sse), receive(t, ws)} {
				if !strings.Contains(event, `"ip":"127.0.0.2"`) {
					t.Errorf("got %s", event)
				}
			}
		})
	}
}

const securityEvents = `subscription { securityEvents { ip } }`

// events subscribes with server-sent events.
func events(t *testing.T, client *http.Client, url, accessToken string) *bufio.Scanner {
	t.Helper()
	response := post(t, client, url, securityEvents, map[string]string{
		"Accept": "text/event-stream", "Authorization": "Bearer " + accessToken})
	t.Cleanup(func() { _ = response.Body.Close() })
	return bufio.NewScanner(response.Body)
}

// next returns the data of the next event, without waiting for the end of the stream.
func next(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return data
		}
	}
	t.Fatalf("no event: %v", lines.Err())
	return ""
}

// socket subscribes with a WebSocket.
func socket(t *testing.T, client *http.Client, url, accessToken string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url,
		&websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	for _, message := range []string{
		`{"type": "connection_init", "payload": {"Authorization": "Bearer ` + accessToken + `"}}`,
		`{"id": "1", "type": "subscribe", "payload": {"query": "` + securityEvents + `"}}`,
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, conn); !strings.Contains(got, "connection_ack") {
		t.Fatalf("got %s", got)
	}
	return conn
}

func receive(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, message, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

// login signs in as a client that lies about its address.
func login(t *testing.T, client *http.Client, url, email string) {
	t.Helper()
	query := fmt.Sprintf(`mutation { login(input: {email: %q, password: %q}) { tokenType } }`, email, apptest.Password)
	response := post(t, client, url, query,
		map[string]string{"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-IP": "192.0.2.1"})
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}

func post(t *testing.T, client *http.Client, url, query string, header map[string]string) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// subscribed waits until the server has n subscribers.
func subscribed(t *testing.T, srv *apptest.Server, n int) {
	t.Helper()
	for limit := time.Now().Add(patience); srv.App.Feed.Subscribers() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d subscribers, want %d", srv.App.Feed.Subscribers(), n)
		}
	}
}

// from returns a client with an address of this machine.
func from(t *testing.T, ip string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// unused returns an address that nothing listens on.
func unused(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start runs a program until the test ends, and waits until it listens on address.
func start(t *testing.T, cmd *exec.Cmd, address string) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { <-ended })
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", cmd.Path, &output)
		default:
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not listen", cmd.Path)
		}
	}
}

// installed skips the test without a program, but not on CI.
func installed(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skipf("NOT TESTED: %v", err)
}

// replace returns a file of this folder with some text replaced; each text occurs in it.
func replace(t *testing.T, name string, oldnew ...string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !bytes.Contains(b, []byte(oldnew[i])) {
			t.Fatalf("%s has no %q", name, oldnew[i])
		}
	}
	return strings.NewReplacer(oldnew...).Replace(string(b))
}

// file writes a temporary file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
