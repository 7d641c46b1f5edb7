// Package apptest starts the whole server for tests, on a separate database and with cheap password hashes, and calls
// its API over HTTP as a client with given roles.
//
//	srv := apptest.Start(t)
//	admin := srv.As(t, "ADMIN")
//	answer := admin.Do(t, `query { me { email } }`, nil)
package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/99designs/gqlgen/graphql"
	"github.com/alecthomas/kong"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Password is the password of all users that As registers.
const Password = "an unlikely passphrase"

// plenty is more than any test needs. Tests of limits set their own.
const plenty = 1_000_000

// Options are the parts of the server that a test may change before the start.
type Options struct {
	// Config has a value for every setting.
	Config *config.Config
	// Log is the server's log; discarded by default.
	Log *slog.Logger
	// Extensions run inside the guard.
	Extensions []graphql.HandlerExtension
	// Handler wraps or replaces the server's handler.
	Handler func(http.Handler) http.Handler
}

// Server is a running API.
type Server struct {
	App            *app.App
	URL            string
	offset         atomic.Int64
	wall           atomic.Int64 // offset of the wall clock only
	databaseOffset time.Duration
	users          atomic.Int64
}

// Start runs a server until the test ends.
func Start(tb testing.TB, change ...func(*Options)) *Server {
	tb.Helper()
	o := &Options{Config: Config(tb), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(o)
	}
	if problems := o.Config.Complete(func(string) bool { return true }); len(problems) > 0 {
		tb.Fatalf("settings: %v", problems)
	}
	s := &Server{}
	// Not app.Serves: tests may start several servers on one SQLite file.
	a, err := app.Open(tb.Context(), o.Config, app.Migrates, s.Now, o.Log)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	s.App = a
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	wait, err := a.Follow(ctx)
	if err != nil {
		tb.Fatalf("follow: %v", err)
	}
	handler, err := a.Handler(web.NewHealth(a.Ready), o.Extensions...)
	if err != nil {
		tb.Fatalf("handler: %v", err)
	}
	if o.Handler != nil {
		handler = o.Handler(handler)
	}
	listener := httptest.NewServer(handler)
	s.URL = listener.URL
	tb.Cleanup(func() {
		listener.Close()
		stop()
		wait()
		if err := a.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// OnBoth runs f against a server on SQLite and one on Postgres.
func OnBoth(t *testing.T, f func(t *testing.T, srv *Server), change ...func(*Options)) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		f(t, Start(t, append([]func(*Options){Database(url)}, change...)...))
	})
}

// Config returns the initial configuration of Start: the defaults, but with SQLite in a temporary folder, cheap hashes,
// and limits that no test reaches.
func Config(tb testing.TB) *config.Config {
	tb.Helper()
	c := &config.Config{}
	parser, err := kong.New(c)
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		tb.Fatalf("defaults: %v", err)
	}
	c.Database, c.Secret = "sqlite:"+filepath.Join(tb.TempDir(), "test.db"), "a secret for tests, of more than 32 bytes"
	c.Listen, c.BcryptCost, c.DeleteGrace = "127.0.0.1:0", 4, 0
	c.StreamsPerAddress, c.StreamsPerUser, c.OperationsPerSocket = plenty, plenty, plenty
	c.OperationTimeout, c.DrainTimeout, c.ClockSkew = 30*time.Second, 5*time.Second, 12*time.Hour
	for i := range reflect.TypeFor[config.Limits]().NumField() {
		reflect.ValueOf(&c.Limits).Elem().Field(i).Addr().Interface().(*config.Rate).Burst = plenty
	}
	return c
}

// Database returns a change that selects another database.
func Database(url string) func(*Options) { return func(o *Options) { o.Config.Database = url } }

// Now returns the time by the server's clock, with a monotonic reading.
func (s *Server) Now() time.Time {
	return SetWall(time.Now().Add(time.Duration(s.offset.Load())), time.Duration(s.wall.Load()))
}

// SetWall moves the wall clock's reading of now by whole seconds and leaves the monotonic one, as setting the machine's
// clock does. Package time offers no way to do this: its layout is one flag, 33 bits of seconds and 30 of nanoseconds.
func SetWall(now time.Time, d time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&now)) += uint64(int64(d/time.Second)) << 30
	return now
}

// Shift moves the server's clock. It is also SQLite's clock; that of Postgres does not move.
func (s *Server) Shift(d time.Duration) { s.offset.Add(int64(d)) }

// ShiftDatabase moves the database's clock by whole seconds. SQLite's clock is the machine's, whose monotonic reading
// does not move.
func (s *Server) ShiftDatabase(tb testing.TB, d time.Duration) {
	tb.Helper()
	if s.App.DB.Dialect() == store.SQLite {
		s.wall.Add(int64(d))
		return
	}
	s.databaseOffset += d
	err := s.App.DB.Tx(tb.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(fmt.Sprintf(`CREATE OR REPLACE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE AS
			$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + %d $$`, s.databaseOffset.Microseconds()))
		return err
	})
	if err != nil {
		tb.Fatalf("shift the database's clock: %v", err)
	}
}

// Advance is Shift, followed by a read of revocations. They would otherwise look d old.
func (s *Server) Advance(tb testing.TB, d time.Duration) {
	tb.Helper()
	s.Shift(d)
	if err := s.App.View.Poll(tb.Context()); err != nil {
		tb.Fatalf("poll: %v", err)
	}
}

// Exec runs a statement on the server's database, without the server's knowledge.
func (s *Server) Exec(tb testing.TB, statement string, args ...any) (changed int64) {
	tb.Helper()
	err := s.App.DB.Tx(tb.Context(), func(tx *store.Tx) (err error) {
		changed, err = tx.Exec(statement, args...)
		return err
	})
	if err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
	return changed
}

// Update is Exec for a statement that must change at least one row.
func (s *Server) Update(tb testing.TB, statement string, args ...any) {
	tb.Helper()
	if s.Exec(tb, statement, args...) == 0 {
		tb.Fatalf("%s changed nothing", statement)
	}
}

// Count reads one number from the server's database.
func (s *Server) Count(tb testing.TB, query string, args ...any) (n int) {
	tb.Helper()
	if err := s.App.DB.Get(tb.Context(), &n, query, args...); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// Client calls a Server as one user.
type Client struct {
	Server       *Server
	UserID       token.UserID
	SessionID    token.SessionID
	Email        string
	AccessToken  string
	RefreshToken string
	// Header is sent with every call, in addition to the access token.
	Header http.Header
}

// Anonymous is a client without a token.
func (s *Server) Anonymous() *Client { return &Client{Server: s, Header: http.Header{}} }

// Secrets returns the secrets in the mails of a kind, in order: the tokens of links, or codes. That of a used or void
// challenge is empty.
func (s *Server) Secrets(tb testing.TB, kind mail.Kind) (secrets []string) {
	tb.Helper()
	var ids []string
	const query = "SELECT challenge FROM mail WHERE kind = $1 ORDER BY created_at, id"
	if err := s.App.DB.Select(tb.Context(), &ids, query, kind); err != nil {
		tb.Fatal(err)
	}
	for _, id := range ids {
		secret, err := s.App.Challenges.RevealOpen(tb.Context(), id)
		if err != nil {
			tb.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	return secrets
}

// Secret returns the only secret of Secrets.
func (s *Server) Secret(tb testing.TB, kind mail.Kind) string {
	tb.Helper()
	secrets := s.Secrets(tb, kind)
	if len(secrets) != 1 || secrets[0] == "" {
		tb.Fatalf("%d mails of kind %s, or its secret is void", len(secrets), kind)
	}
	return secrets[0]
}

// Operator is the actor of the command line, which may do everything.
var Operator = audit.Actor{Operator: true}

// As registers a new user, gives them roles besides USER, and signs them in.
func (s *Server) As(tb testing.TB, roles ...token.Role) *Client {
	tb.Helper()
	c := s.Anonymous()
	c.Email = fmt.Sprintf("user%d@example.com", s.users.Add(1))
	var registered struct{ Register struct{ Auth Auth } }
	c.Do(tb, `mutation($email: String!, $password: String!) {
		register(input: {email: $email, password: $password}) { auth `+AuthFields+` }
	}`, map[string]any{"email": c.Email, "password": Password}).Into(tb, &registered)
	c.Take(registered.Register.Auth)
	if len(roles) == 0 {
		return c
	}
	if _, err := s.App.Accounts.ChangeRoles(tb.Context(), c.UserID, roles, nil, Operator); err != nil {
		tb.Fatalf("give roles: %v", err)
	}
	c.Refresh(tb)
	return c
}

// AuthFields selects the fields of Auth.
const AuthFields = `{ accessToken refreshToken expiresIn user { id } session { id } }`

// Auth is an AuthPayload.
type Auth struct {
	AccessToken, RefreshToken string
	ExpiresIn                 int
	User                      struct{ ID token.UserID }
	Session                   struct{ ID token.SessionID }
}

// Take makes the client use the tokens of a.
func (c *Client) Take(a Auth) {
	c.AccessToken, c.RefreshToken, c.UserID, c.SessionID = a.AccessToken, a.RefreshToken, a.User.ID, a.Session.ID
}

// Login signs the client's user in as another device, and returns that device.
func (c *Client) Login(tb testing.TB) *Client {
	tb.Helper()
	other := c.Server.Anonymous()
	other.Email = c.Email
	var in struct{ Login Auth }
	other.Do(tb, `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) `+AuthFields+`
	}`, map[string]any{"email": c.Email, "password": Password}).Into(tb, &in)
	other.Take(in.Login)
	return other
}

// Refresh exchanges the client's refresh token and uses the new pair.
func (c *Client) Refresh(tb testing.TB) {
	tb.Helper()
	var out struct{ RefreshToken Auth }
	c.Redeem(tb, c.RefreshToken).Into(tb, &out)
	c.Take(out.RefreshToken)
}

// Redeem calls refreshToken with any token and does not change the client.
func (c *Client) Redeem(tb testing.TB, refreshToken string) *Answer {
	tb.Helper()
	const refresh = `mutation($token: String!) { refreshToken(input: {refreshToken: $token}) ` + AuthFields + ` }`
	return c.Do(tb, refresh, map[string]any{"token": refreshToken})
}

// Answer is the response to an operation.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Data   json.RawMessage
	Errors []Error
}

// Error is one error of an answer.
type Error struct {
	Message    string
	Path       []any
	Extensions struct {
		Code, Reason, RequestID string
		RetryAfter              int
		Requires                struct {
			Roles  []string
			MaxAge int
		}
		Fields    []struct{ Path, Reason, Message string }
		Challenge struct {
			ID        string
			Methods   []string
			ExpiresAt time.Time
		}
	}
}

// Do posts an operation. It accepts application/graphql-response+json, so that the status shows a refusal.
func (c *Client) Do(tb testing.TB, query string, variables map[string]any) *Answer {
	tb.Helper()
	answer, err := c.Call(tb.Context(), query, variables)
	if err != nil {
		tb.Fatal(err)
	}
	return answer
}

// Call is Do for goroutines, which must not end a test, and for servers that may not answer.
func (c *Client) Call(ctx context.Context, query string, variables map[string]any) (*Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(request.Header, c.Header)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	if c.AccessToken != "" {
		request.Header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	return roundTrip(request)
}

// Send posts any body. The headers are those of Client.Do unless change says otherwise.
func (s *Server) Send(tb testing.TB, body []byte, change ...func(*http.Request)) *Answer {
	tb.Helper()
	url := s.URL + "/graphql"
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	for _, f := range change {
		f(request)
	}
	answer, err := roundTrip(request)
	if err != nil {
		tb.Fatal(err)
	}
	return answer
}

func roundTrip(request *http.Request) (*Answer, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	answer := &Answer{Status: response.StatusCode, Header: response.Header, Body: raw}
	var decoded struct {
		Data   json.RawMessage
		Errors []Error
	}
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return nil, fmt.Errorf("decode answer %.500q: %w", raw, err)
	}
	answer.Data, answer.Errors = decoded.Data, decoded.Errors
	return answer, nil
}

// Into decodes the data of an answer that must have no errors.
func (a *Answer) Into(tb testing.TB, data any) {
	tb.Helper()
	if len(a.Errors) > 0 {
		tb.Fatalf("unexpected errors: %s", a.Body)
	}
	if err := json.Unmarshal(a.Data, data); err != nil {
		tb.Fatalf("decode data %s: %v", a.Data, err)
	}
}

// Refused checks that the answer has exactly one error, with this code and reason.
func (a *Answer) Refused(tb testing.TB, code, reason string) {
	tb.Helper()
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != code || a.Errors[0].Extensions.Reason != reason {
		tb.Fatalf("want one error %s %s, got %d %s", code, reason, a.Status, a.Body)
	}
}
