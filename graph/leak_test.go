package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// leaks is a server whose log, metrics and answers are watched for secrets.
type leaks struct {
	*testing.T
	srv    *apptest.Server
	log    record
	schema *ast.Schema
	admin  *apptest.Client
	victim *apptest.Client
	// secrets are real ones: credentials and the server's own keys.
	secrets map[string]string
	people  atomic.Int64
	answers int
}

const (
	leakedSecret = "the server's own secret, never to be seen 4711"
	leakedPepper = "a pepper that must stay secret 4712"
	leakedDBPass = "database-password-4713"
)

func startLeaks(t *testing.T, database string) *leaks {
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "sqlite" { // trust authentication needs no password
		u.User = url.UserPassword(u.User.Username(), leakedDBPass)
		database = u.String()
	}
	l := &leaks{T: t, schema: sdl(t)}
	l.srv = apptest.Start(t, apptest.Database(database), recorded(&l.log), func(o *apptest.Options) {
		o.Config.Secret, o.Config.PasswordPepper = leakedSecret, "p1:"+leakedPepper
	})
	l.admin, l.victim = l.srv.As(t, "ADMIN"), l.srv.As(t)
	l.victim.Login(t)
	l.secrets = map[string]string{
		"an access token": l.admin.AccessToken, "a signature": l.admin.AccessToken[strings.LastIndexByte(l.admin.AccessToken, '.')+1:],
		"a refresh token": l.admin.RefreshToken, "another's refresh token": l.victim.RefreshToken, "a password": apptest.Password,
		"the server's secret": leakedSecret, "the pepper": leakedPepper, "the database's password": leakedDBPass,
	}
	return l
}

// fill returns a value with which an operation gets as far as possible without the planted one.
func (l *leaks) fill(name string) string {
	switch {
	case strings.Contains(strings.ToLower(name), "email"):
		return fmt.Sprintf("person%d@example.com", l.people.Add(1))
	case strings.HasSuffix(strings.ToLower(name), "id"):
		return string(l.victim.UserID)
	case strings.Contains(strings.ToLower(name), "password"):
		return "one more unlikely phrase"
	}
	return "2026-02-03T04:05:06Z"
}

// repeated matches messages that repeat the value of a custom scalar.
var repeated = regexp.MustCompile(`\\"[a-z0-9]{1,64}…?\\" is not a Time`)

// judge looks for secrets in an answer. A value planted at a place that is not @sensitive may appear in the data, or in
// a message about an invalid Time.
func (l *leaks) judge(where, body string, a *apptest.Answer) {
	l.Helper()
	l.answers++
	said := string(a.Body)
	for name, values := range a.Header {
		if name != "Set-Cookie" {
			said += "\n" + strings.Join(values, "\n")
		}
	}
	for name, secret := range l.secrets {
		if strings.Contains(said, secret) {
			l.Errorf("%s: %s is in the answer to %.300s: %.500s", where, name, body, said)
		}
	}
	beside := repeated.ReplaceAllString(strings.Replace(said, string(a.Data), "", 1), "")
	if strings.Contains(said, canary) || strings.Contains(beside, harmless) {
		l.Errorf("%s: the planted value is in the answer to %.300s: %.500s", where, body, said)
	}
}

// post is send for answers in any format, including event streams.
func (l *leaks) post(body string, change ...func(*http.Request)) *apptest.Answer {
	l.Helper()
	r, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.srv.URL+"/graphql", strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for _, f := range change {
		f(r)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		l.Fatal(err)
	}
	defer response.Body.Close()
	a := &apptest.Answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		l.Fatal(err)
	}
	var decoded struct{ Data json.RawMessage }
	begin := max(0, bytes.IndexByte(a.Body, '{')) // the first event of an event stream
	_ = json.NewDecoder(bytes.NewReader(a.Body[begin:])).Decode(&decoded)
	a.Data = decoded.Data
	return a
}

// everyInput plants at every place of the schema.
func (l *leaks) everyInput() {
	all := plantings(l.schema)
	if len(all) < 30 {
		l.Fatalf("only %d places: the search is broken", len(all))
	}
	bearer, events := with("Authorization", "Bearer "+l.admin.AccessToken), with("Accept", "text/event-stream")
	for _, p := range all {
		if p.operation == ast.Subscription {
			continue // the event stream would not end; everyMessage covers subscriptions
		}
		secrets := []string{p.canary()}
		if p.sensitive {
			secrets = append(secrets, l.admin.AccessToken+canary, l.victim.RefreshToken[:20]+canary, apptest.Password+canary)
		}
		for _, secret := range secrets {
			for i, body := range p.requests(l.schema, secret, l.fill) {
				change := [][]func(*http.Request){{bearer}, {}, {bearer, events}}[i%3]
				l.judge(p.where, body, l.post(body, change...))
			}
		}
		query := url.Values{
			"query":     {p.byLiterals(l.schema, p.arguments(l.schema, p.canary(), l.fill))},
			"variables": {`{"x": "` + canary},
		}
		for _, raw := range []string{
			query.Encode(), "query=" + query["query"][0], "query={me{id}}&variables=" + canary, canary,
			"query=" + url.QueryEscape(canary+`"`),
		} {
			l.judge(
				"GET of "+p.where, raw,
				l.post("", func(r *http.Request) { r.Method, r.URL.RawQuery = "GET", strings.ReplaceAll(raw, " ", "+") }),
			)
		}
	}
}

// everyHeader plants in the headers of a request.
func (l *leaks) everyHeader() {
	for _, value := range []string{canary, "Bearer " + canary, "Bearer " + l.admin.AccessToken + canary, "Bearer " + l.victim.RefreshToken, "Basic " + canary, l.admin.AccessToken,
		"Bearer " + strings.Replace(
			l.admin.AccessToken, ".", "."+canary, 1,
		), "https://" + canary + ".example", canary + "=" + l.victim.RefreshToken, "for=" + canary, canary + "/" + canary} {
		for _, name := range []string{
			"Authorization", "Cookie", "Origin", "Referer", "Accept", "Content-Type", "Content-Encoding", "X-Forwarded-For",
			"Forwarded", "User-Agent", "X-Custom", "Sec-Fetch-Site",
		} {
			if name == "Origin" && value == "https://"+canary+".example" {
				continue // the log names other origins intentionally
			}
			for _, document := range []string{
				`{ me { id } }`, `mutation { refreshToken { tokenType } }`,
				`mutation { logout(input: {scope: OTHERS}) { endedSessions } }`,
				`mutation { login(input: {email: "a@example.com", password: "x", delivery: COOKIE}) { tokenType } }`,
			} {
				l.judge(
					"header "+name, value, l.post(request(document, nil), func(r *http.Request) { r.Header[name] = []string{value} }),
				)
			}
		}
		cookie := with("Cookie", "__Host-graphwarden_refresh="+value)
		own := with("Origin", l.srv.App.Config.PublicURL)
		for _, operation := range []string{"refreshToken { tokenType }", "logout { endedSessions }"} {
			l.judge("cookie", value, l.post(request("mutation { "+operation+" }", nil), cookie, own))
		}
	}
}

// everyMessage plants in the messages of a WebSocket.
func (l *leaks) everyMessage() {
	quoted := `"` + canary + `"`
	for _, init := range []string{`{"Authorization": ` + quoted + `}`, `{"Authorization": "Bearer ` + l.admin.AccessToken + canary + `"}`, `{"token": ` + quoted + `}`,
		`[` + quoted + `]`, quoted, `{"Authorization": [` + quoted + `]}`, `{"Authorization": "Bearer ` + l.victim.RefreshToken + `"}`} {
		l.socket(`{"type": "connection_init", "payload": ` + init + `}`)
	}
	greeting := string(initWith(l.admin.AccessToken))
	for _, broken := range []string{canary, `{"type": ` + quoted + `}`, `{"type": "subscribe", "id": "1", "payload": ` + quoted + `}`, `{"type": "subscribe", "payload": {"query": ` + quoted + `}}`,
		`{"type": "subscribe", "id": "1", "payload": {"query": ["` + canary + `"]}}`, `{"type": "ping", "payload": [` + quoted} {
		l.socket(greeting, broken)
	}
	for _, p := range plantings(l.schema) {
		if p.sensitive || p.operation == ast.Subscription {
			l.socket(
				greeting,
				`{"type": "subscribe", "id": "1", "payload": `+request(
					p.byLiterals(l.schema, p.arguments(l.schema, p.canary(), l.fill)), nil,
				)+`}`,
			)
			l.socket(
				greeting,
				`{"type": "subscribe", "id": "1", "payload": `+request(
					p.byVariables(l.schema), p.arguments(l.schema, []any{[]any{p.canary()}}, l.fill),
				)+`}`,
			)
			l.socket(
				greeting,
				`{"type": "subscribe", "id": "1", "payload": `+request(
					p.byLiterals(l.schema, p.arguments(l.schema, bare(p.canary()), l.fill)), nil,
				)+`}`,
			)
		}
	}
}

// socket sends messages and judges the answers, until the last one is answered or the connection is closed.
func (l *leaks) socket(messages ...string) {
	l.Helper()
	const pong = `{"type":"pong"}`
	s := dial(l.T, l.srv)
	defer func() { _ = s.conn.CloseNow() }()
	for _, message := range append(messages, `{"type": "ping"}`) {
		if s.conn.Write(s.ctx, websocket.MessageText, []byte(message)) != nil {
			break
		}
	}
	for range len(messages) + 2 { // an ack, an answer, its completion and the pong
		_, text, err := s.conn.Read(s.ctx)
		if err != nil {
			text = []byte(err.Error()) // contains the reason in the close frame
		}
		if string(text) != pong {
			l.judge("WebSocket", strings.Join(messages, " "), &apptest.Answer{Body: text})
		}
		if err != nil || string(text) == pong {
			break
		}
	}
}

// silentBehind judges the log and the metrics.
func (l *leaks) silentBehind(least int) {
	l.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Fatal(err)
	}
	defer listener.Close()
	go func() { _ = l.srv.App.Metrics.Serve(l.Context(), listener, slog.New(slog.DiscardHandler)) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/metrics")
	if err != nil {
		l.Fatal(err)
	}
	defer response.Body.Close()
	var metrics bytes.Buffer
	if _, err := metrics.ReadFrom(response.Body); err != nil || !strings.Contains(metrics.String(), "graphwarden_") {
		l.Fatalf("no metrics: %v", err)
	}
	l.secrets["what was planted"], l.secrets["what was planted where it may show"] = canary, harmless
	for _, where := range []string{l.log.String(), metrics.String()} {
		for name, secret := range l.secrets {
			if line := lineWith(where, secret); line != "" {
				l.Errorf("%s is in %.700s", name, line)
			}
		}
	}
	text := l.log.String()
	if n := strings.Count(text, "request refused"); n < least || l.answers < least {
		l.Errorf("%d lines of the log for %d answers are too few for this test", n, l.answers)
	}
	if line := lineWith(text, "panic"); line != "" {
		l.Errorf("a panic: %s", line)
	}
}

// Passwords, tokens, cookies and the server's own secrets, at any place of a request and with any error, do not reach
// the log, the metrics or an answer.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, database string) {
		l := startLeaks(t, database)
		l.everyInput()
		l.everyHeader()
		l.everyMessage()
		l.silentBehind(1000)
	})
}

// If the database fails during a request, the errors of the driver must not show secrets either.
func TestSecretsNeverShowWhenStorageFails(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"users", "sessions", "throttle", "audit_log"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			storetest.URLs(t, func(t *testing.T, database string) {
				l := startLeaks(t, database)
				err := l.srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Exec("ALTER TABLE " + table + " RENAME TO hidden")
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range plantings(l.schema) {
					if p.operation == ast.Subscription {
						continue
					}
					for _, body := range p.requests(l.schema, p.canary(), l.fill)[:2] {
						l.judge(p.where, body, l.post(body, with("Authorization", "Bearer "+l.admin.AccessToken)))
					}
				}
				l.silentBehind(5)
			})
		})
	}
}
