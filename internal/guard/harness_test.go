package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	gqlgen "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/generated"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/transport"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	issuer   = "https://guard.example.com"
	audience = "https://guard.example.com/graphql"
	life     = 15 * time.Minute
)

// server serves guardtest behind the guard. All parts are real except the clock, which only moves explicitly.
type server struct {
	URL           string
	Zoo           *guardtest.Resolver
	Authenticator *guard.Authenticator
	View          *session.View
	Log           *logged
	// Fields, if set, changes the fields that the guard may write directly.
	Fields func(guard.Fields) guard.Fields

	db       *store.DB
	ring     *token.Ring
	activity *session.Activity
	start    time.Time
	offset   atomic.Int64
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open creates the parts that handle tokens, without serving.
func open(tb testing.TB) *server {
	tb.Helper()
	db := storetest.Open(tb, "sqlite:"+filepath.Join(tb.TempDir(), "test.db"))
	s := &server{db: db, start: time.Now(), Log: &logged{}, Zoo: &guardtest.Resolver{}}
	key, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		tb.Fatal(err)
	}
	s.ring, err = token.OpenRing(tb.Context(), db, key, token.RingOptions{Algorithm: token.EdDSA,
		RotateEvery: 720 * time.Hour, Overlap: time.Hour, TokenLife: life, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	s.View = session.NewView(db, session.ViewOptions{MaxSkew: 12 * time.Hour}, s.Now)
	if s.activity, err = session.NewActivity(db, s.Now); err != nil {
		tb.Fatal(err)
	}
	s.poll(tb)
	s.Authenticator = guard.NewAuthenticator(token.NewVerifier(s.ring, issuer, audience, s.Now), s.View, s.activity, s.Now,
		s.log())
	return s
}

// serve starts a server. The extensions more run inside the guard.
func serve(tb testing.TB, introspection string, more ...graphql.HandlerExtension) *server {
	tb.Helper()
	s := open(tb)
	policy, err := guard.NewPolicy(guardtest.Load(), introspection)
	if err != nil {
		tb.Fatal(err)
	}
	s.serve(tb, policy, more...)
	return s
}

func (s *server) serve(tb testing.TB, policy *guard.Policy, more ...graphql.HandlerExtension) {
	tb.Helper()
	listener := httptest.NewServer(s.handler(policy, more...))
	tb.Cleanup(listener.Close)
	s.URL = listener.URL
}

// handler returns the handler of a server, without a guard if policy is nil.
func (s *server) handler(policy *guard.Policy, more ...graphql.HandlerExtension) http.Handler {
	executable := generated.NewExecutableSchema(generated.Config{Schema: guardtest.Load(), Resolvers: s.Zoo})
	fields := generated.Fields(executable)
	if s.Fields != nil {
		fields = s.Fields(fields)
	}
	srv := handler.New(executable)
	srv.AddTransport(gqlgen.SSE{})
	srv.AddTransport(transport.HTTP{})
	srv.SetErrorPresenter(present)
	srv.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	srv.Use(extension.Introspection{})
	if policy != nil {
		srv.Use(guard.NewExtension(policy, fields, s.Authenticator.Check, present, s.Now, s.log()))
	}
	for _, one := range more {
		srv.Use(one)
	}
	if policy != nil && fields != nil {
		srv.Use(guard.NewResponder(policy, generated.Queries(executable), present))
	}
	return s.Authenticator.Middleware(srv)
}

// present is the guard-related part of the product's error presenter.
func present(ctx context.Context, err error) *gqlerror.Error {
	shown := graphql.DefaultErrorPresenter(ctx, err)
	if f := fault.As(err); f != nil {
		shown.Message = f.Message
		shown.Extensions = map[string]any{"code": f.Code, "reason": f.Reason, "requires": f.Requires}
	}
	return shown
}

// Now does not advance by itself, so that no test depends on its speed.
func (s *server) Now() time.Time { return s.start.Add(time.Duration(s.offset.Load())) }

func (s *server) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (s *server) poll(tb testing.TB) {
	tb.Helper()
	if err := s.View.Poll(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// advance moves the clock and polls, because the revocation view would otherwise be too old.
func (s *server) advance(tb testing.TB, d time.Duration) {
	tb.Helper()
	s.offset.Add(int64(d))
	s.poll(tb)
}

func (s *server) issue(tb testing.TB, c token.Claims) string {
	tb.Helper()
	raw, _, err := token.NewIssuer(s.ring, issuer, audience, life, s.Now).Issue(c, s.Now().Add(time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// claims returns the claims of a user who has just signed in.
func (s *server) claims(user token.UserID, roles ...token.Role) token.Claims {
	return token.Claims{UserID: user, SessionID: "session of " + token.SessionID(user), Generation: 1, Version: 1,
		Roles:    roles,
		AuthTime: s.Now(), Methods: []string{"pwd"}}
}

// revoke inserts a revocation like another replica.
func (s *server) revoke(tb testing.TB, sid token.SessionID, user token.UserID, isStale bool) {
	tb.Helper()
	err := s.db.Tx(tb.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO revocations
				(id, session_id, user_id, below_version, stale, created_at, expires_at)
			VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), 100, $4, now_us(), now_us() + 3600000000)`,
			fmt.Sprint(sid, user, isStale), sid, user, isStale)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.poll(tb)
}

// refusedTokens returns a token for each reason to refuse one. Apart from its fault, each would grant all rights of
// roles.
func (s *server) refusedTokens(tb testing.TB, user token.UserID, roles ...token.Role) map[string]string {
	tb.Helper()
	make := func(sid token.SessionID, of token.UserID) string {
		c := s.claims(of, roles...)
		c.SessionID = sid
		return s.issue(tb, c)
	}
	refused := map[string]string{"TOKEN_REVOKED": make("revoked", user),
		"TOKEN_STALE": make("stale", "a user of a stale token")}
	s.revoke(tb, "revoked", "", false)
	s.revoke(tb, "", "a user of a stale token", true)
	s.offset.Add(int64(-life - time.Minute))
	refused["TOKEN_EXPIRED"] = make("expired", user)
	s.offset.Add(int64(life + time.Minute))
	refused["TOKEN_INVALID"] = strings.Replace(make("forged", user), ".", ".e", 1)
	return refused
}

// answer is a response.
type answer struct {
	Status int
	Body   string
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions struct {
			Code, Reason string
			Requires     fault.Requirement
		}
	}
}

// ask posts an operation with the given Authorization headers.
func (s *server) ask(tb testing.TB, query string, variables map[string]any, authorization ...string) answer {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		tb.Fatal(err)
	}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	if strings.HasPrefix(query, "subscription") {
		request.Header.Set("Accept", "text/event-stream")
	}
	if len(authorization) > 0 {
		request.Header["Authorization"] = authorization
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	a := answer{Status: response.StatusCode, Body: string(raw)}
	if _, event, ok := bytes.Cut(raw, []byte("\ndata: ")); ok {
		raw, _, _ = bytes.Cut(event, []byte("\n"))
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		tb.Fatalf("%d %q: %v", response.StatusCode, raw, err)
	}
	return a
}

// String returns the data, then the path and reason of each error, sorted.
func (a answer) String() string {
	lines := []string{}
	for _, e := range a.Errors {
		var path []string
		for _, part := range e.Path {
			path = append(path, fmt.Sprint(part))
		}
		reason := e.Extensions.Reason
		if reason == "" {
			reason = e.Message
		}
		lines = append(lines, strings.Join(path, ".")+" "+reason)
	}
	slices.Sort(lines)
	return strings.TrimSpace(string(a.Data) + " " + strings.Join(lines, ", "))
}
