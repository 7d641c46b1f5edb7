package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// record is a log that tests can read.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// recorded sends the server's log at all levels to r.
func recorded(r *record) func(*apptest.Options) {
	return func(o *apptest.Options) {
		o.Log = slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// instead runs a function in place of the resolver of Query.me.
type instead func(context.Context) (any, error)

func (instead) ExtensionName() string                   { return "Instead" }
func (instead) Validate(graphql.ExecutableSchema) error { return nil }
func (f instead) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	if fc := graphql.GetFieldContext(ctx); fc.Object == "Query" && fc.Field.Name == "me" {
		return f(ctx)
	}
	return next(ctx)
}

func extended(f instead) func(*apptest.Options) {
	return func(o *apptest.Options) { o.Extensions = append(o.Extensions, f) }
}

func TestInternalErrorsRevealNothing(t *testing.T) {
	t.Parallel()
	const cause = "dial 10.0.0.7: SELECT secret FROM users"
	for name, f := range map[string]instead{
		"an error":            func(context.Context) (any, error) { return nil, errors.New(cause) },
		"a wrapped error":     func(context.Context) (any, error) { return nil, fmt.Errorf("read: %w", errors.New(cause)) },
		"a panic":             func(context.Context) (any, error) { panic(cause) },
		"a panic of an error": func(context.Context) (any, error) { panic(errors.New(cause)) },
		"an internal fault":   func(context.Context) (any, error) { return nil, fault.New(fault.Internal, "", cause) },
		"a wrong Go type":     func(context.Context) (any, error) { return errors.New(cause), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log record
			srv := apptest.Start(t, extended(f), recorded(&log))
			c := srv.As(t)
			a := c.Do(t, `query Profile { me { id } }`, nil)
			a.Refused(t, "INTERNAL_SERVER_ERROR", "")
			silent(t, a, cause, "10.0.0.7", "select", "panic", "goroutine", "*errors.", "read:")
			if a.Errors[0].Message != "internal error" {
				t.Errorf("message %q", a.Errors[0].Message)
			}
			id := a.Errors[0].Extensions.RequestID
			if id == "" || a.Header.Get("X-Request-Id") != id {
				t.Errorf("request id %q", id)
			}
			if line := lineWith(log.String(), id); !strings.Contains(line, `"ERROR"`) ||
				name != "a wrong Go type" && !strings.Contains(line, cause) {
				t.Errorf("the log contains %q", line)
			} else if !strings.Contains(line, `"operation":"Profile","user":"`+string(c.UserID)+`"`) {
				t.Errorf("the log lacks the operation or the caller: %q", line)
			}
		})
	}
}

func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}

func TestFaultsKeepTheirFields(t *testing.T) {
	t.Parallel()
	var log record
	srv := apptest.Start(t, recorded(&log), extended(func(context.Context) (any, error) {
		return nil, fmt.Errorf(
			"me: %w", fault.Busy(fault.Overloaded, "come back later", 1500*time.Millisecond).Because(errors.New("the cause")),
		)
	}))
	c := srv.As(t)
	a := c.Do(t, `{ me { id } }`, nil)
	a.Refused(t, "UNAVAILABLE", "OVERLOADED")
	silent(t, a, "the cause")
	if e := a.Errors[0]; e.Message != "come back later" || e.Extensions.RetryAfter != 2 || a.Status != 503 ||
		a.Header.Get("Retry-After") != "2" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if !strings.Contains(lineWith(log.String(), a.Errors[0].Extensions.RequestID), "the cause") {
		t.Error("the cause is not in the log")
	}
}

func TestTheLogDistinguishesFaultsFromLoad(t *testing.T) {
	t.Parallel()
	busy := fault.Busy(fault.Overloaded, "come back later", time.Second)
	for level, refusal := range map[string]error{
		"ERROR": errors.New("a fault of the server"),
		"WARN":  busy.Because(errors.New("the database is away")),
		"DEBUG": busy,
	} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			var log record
			srv := apptest.Start(t, recorded(&log), extended(func(context.Context) (any, error) { return nil, refusal }))
			a := srv.As(t).Do(t, `{ me { id } }`, nil)
			if line := lineWith(log.String(), a.Errors[0].Extensions.RequestID); !strings.Contains(line, `"level":"`+level+`"`) {
				t.Errorf("the log contains %q", line)
			}
		})
	}
	t.Run("a client that has disconnected", func(t *testing.T) {
		t.Parallel()
		var log record
		srv := apptest.Start(t, recorded(&log), extended(func(context.Context) (any, error) {
			return nil, busy.Because(fmt.Errorf("waiting: %w", context.Canceled))
		}))
		a := srv.As(t).Do(t, `{ me { id } }`, nil)
		if line := lineWith(log.String(), a.Errors[0].Extensions.RequestID); !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("the log contains %q", line)
		}
	})
}

func TestAStorageFaultIsNotAWrongPassword(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url))
		c := srv.As(t)
		if err := srv.App.DB.Close(); err != nil {
			t.Fatal(err)
		}
		for _, document := range []string{
			`mutation { login(input: {email: "` + c.Email + `", password: "` + apptest.Password + `"}) { tokenType } }`,
			`mutation { login(input: {email: "unknown@example.com", password: "wrong"}) { tokenType } }`,
			`mutation { register(input: {email: "new@example.com", password: "` + apptest.Password + `"}) { auth { tokenType } } }`,
			`mutation { refreshToken(input: {refreshToken: "` + c.RefreshToken + `"}) { tokenType } }`,
			`mutation { logout { endedSessions } }`,
			`mutation { updateProfile(input: {name: "x"}) { id } }`,
			`{ me { sessions { totalCount } } }`, // me itself is served from memory
		} {
			a := c.Do(t, document, nil)
			a.Refused(t, "UNAVAILABLE", "STORAGE_UNAVAILABLE")
			if a.Status != 503 && a.Data == nil || a.Errors[0].Extensions.RetryAfter < 1 ||
				a.Header.Get("Retry-After") == "" && a.Status == 503 {
				t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
			}
			silent(t, a, "sql", "closed", "pq")
		}
	})
}

func TestAnOperationThatTakesTooLongIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.OperationTimeout = 100 * time.Millisecond },
		extended(func(ctx context.Context) (any, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("read: %w", ctx.Err())
		}))
	// Call it directly: through the API, a busy machine would time out too.
	grant, err := srv.App.SignIn.Register(
		t.Context(), account.Registration{Email: "jane@example.com", Password: apptest.Password}, audit.Actor{},
	)
	if err != nil {
		t.Fatal(err)
	}
	c := srv.Anonymous()
	c.AccessToken = grant.AccessToken
	a := c.Do(t, `{ me { id } }`, nil)
	a.Refused(t, "UNAVAILABLE", "TIMED_OUT")
	if want := "the operation has used up its 100ms: ask for less at once"; a.Status != 503 ||
		a.Errors[0].Message != want {
		t.Errorf("status %d: %s", a.Status, a.Body)
	}
}

// oddities are operations that validation refuses, or that @skip leaves without a field to run.
var oddities = []string{
	`subscription { securityEvents @skip(if: true) { id } }`,
	`subscription { securityEvents @include(if: false) { id } }`,
	`subscription { ... @skip(if: true) { securityEvents { id } } }`,
	`subscription { ...F @skip(if: true) } fragment F on Subscription { securityEvents { id } }`,
	`subscription { ... on Subscription @include(if: false) { securityEvents { id } } }`,
	`subscription($x: Boolean! = true) { securityEvents @skip(if: $x) { id } }`,
	`subscription { a: securityEvents { id } b: securityEvents { id } }`,
	`subscription { a: securityEvents { id } ...F } fragment F on Subscription { b: securityEvents { id } }`,
	`subscription { securityEvents { id } __typename }`,
	`subscription { __typename }`,
	`subscription { __typename @skip(if: true) }`,
	`subscription { ...F } fragment F on Subscription { __typename }`,
	`subscription { __schema { queryType { name } } }`,
	`subscription { ... on Query { me { id } } }`,
	`subscription { ...Unknown }`,
	`subscription { auditEvents(filter: {since: "never"}) { id } }`,
	`mutation { __schema { queryType { name } } }`,
	`mutation { __typename @skip(if: true) }`,
	`mutation { logout @skip(if: true) { endedSessions } }`,
	`mutation { ... on Query { me { id } } }`,
	`{ me @skip(if: true) { id } }`,
	`{ ...F @skip(if: true) } fragment F on Query { me { id } }`,
	`{ __schema @skip(if: true) { queryType { name } } }`,
	`{ __schema { types @skip(if: true) { name } } }`,
	`{ __type(name: "Unknown") { name } }`,
	`{ __type(name: "__Type") { fields { type { name } } } }`,
	`{ verifyToken(token: "x") { active @skip(if: true) } }`,
	`{ verifyToken(token: "x") { ... @skip(if: true) { active } } }`,
	`{ ... on Unknown { me { id } } }`,
	`{ ... on Role { me { id } } }`,
	`{ me @skip { id } }`,
	`query($x: Boolean) { me @skip(if: $x) { id } }`,
	`query @skip(if: true) { me { id } }`,
	`fragment F on Query { me { id } }`,
	`query A { me { id } } query B { me { id } }`,
	`extend type Query { x: Int }`,
}

// An operation that cannot run is the client's mistake, so a client must not be able to fill the log with errors.
func TestNoOperationIsAServerError(t *testing.T) {
	t.Parallel()
	log := &record{}
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	for caller, c := range map[string]*apptest.Client{"a stranger": srv.Anonymous(), "a user": srv.As(t)} {
		socket := dial(t, srv)
		socket.send(`{"type": "connection_init"}`)
		if c.AccessToken != "" {
			socket = connect(t, srv, c.AccessToken)
		}
		for i, operation := range oddities {
			text, err := json.Marshal(map[string]string{"query": operation})
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf(`"id":"%d"`, i)
			socket.send(fmt.Sprintf(`{%s, "type": "subscribe", "payload": %s}`, id, text))
			message := socket.receive()
			for !strings.Contains(message, id) {
				message = socket.receive()
			}
			event, _ := eventStream(t, srv, c.AccessToken, operation)()
			for transport, answer := range map[string]string{
				"POST":     string(c.Do(t, operation, nil).Body),
				"a socket": message,
				"events":   event,
			} {
				if answer == "" || strings.Contains(answer, "INTERNAL") {
					t.Errorf("%s over %s as %s: %s", operation, transport, caller, answer)
				}
			}
		}
	}
	if text := log.String(); text != "" {
		t.Errorf("the log contains:\n%.2000s", text)
	}
}
