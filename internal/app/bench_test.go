package app_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
	"github.com/graphwarden/graphwarden/internal/web"
)

var loginCost = flag.Int("login-cost", 12, "the bcrypt cost of BenchmarkLogin")

// inProcess returns the handler of a server on SQLite, without a network.
func inProcess(b *testing.B, cost int) (*app.App, http.Handler) {
	b.Helper()
	a, handler := withoutBackground(b, cost)
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	wait, err := a.Follow(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stop()
		wait()
	})
	return a, handler
}

// withoutBackground returns the handler of a server on SQLite that polls nothing by itself.
func withoutBackground(tb testing.TB, cost int) (*app.App, http.Handler) {
	tb.Helper()
	c := apptest.Config(tb)
	c.BcryptCost = cost
	if problems := c.Complete(func(string) bool { return true }); problems != nil {
		tb.Fatal(problems)
	}
	a, err := app.Open(tb.Context(), c, app.Serves, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = a.Close() })
	handler, err := a.Handler(web.NewHealth(a.Ready))
	if err != nil {
		tb.Fatal(err)
	}
	return a, handler
}

func jane(b testing.TB, a *app.App, email string) *session.Grant {
	b.Helper()
	grant, err := a.SignIn.Register(
		b.Context(), account.Registration{Email: email, Password: apptest.Password}, audit.Actor{},
	)
	if err != nil {
		b.Fatal(err)
	}
	return grant
}

func graphQL(b testing.TB, query string) (r *http.Request, rewind func()) {
	b.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		b.Fatal(err)
	}
	r = httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", nil)
	r.Header.Set("Content-Type", "application/json")
	reader := strings.NewReader(string(body))
	r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
	return r, func() { reader.Reset(string(body)) }
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

// BenchmarkLogin measures timing differences between failed logins: for each kind of failure, the median time relative
// to that for an unknown address. One iteration has 31 rounds with one login of each kind.
func BenchmarkLogin(b *testing.B) {
	cost := *loginCost
	a, handler := inProcess(b, cost)
	jane(b, a, "jane@example.com")
	gone := jane(b, a, "gone@example.com").Principal().UserID
	if _, err := a.Accounts.SetDisabled(b.Context(), gone, true, apptest.Operator); err != nil {
		b.Fatal(err)
	}
	lower, err := bcrypt.GenerateFromPassword([]byte(apptest.Password), max(cost-2, bcrypt.MinCost))
	if err != nil {
		b.Fatal(err)
	}
	imported := fmt.Sprintf(`{"email": "imported@example.com", "passwordHash": %q}`, lower)
	file := userfile.NewReader(strings.NewReader(imported), userfile.Options{})
	if n, problems, err := a.Accounts.Import(b.Context(), file, apptest.Operator); n != 1 {
		b.Fatal(problems, err)
	}
	type attempt struct {
		name   string
		r      *http.Request
		rewind func()
		took   []time.Duration
	}
	var attempts []*attempt
	for _, test := range [][3]string{
		{"unknown", "nobody@example.com", apptest.Password},
		{"wrong", "jane@example.com", "wrong"},
		{"disabled", "gone@example.com", apptest.Password},
		{"imported", "imported@example.com", "wrong"},
	} {
		one := &attempt{name: test[0]}
		one.r, one.rewind = graphQL(
			b, fmt.Sprintf(`mutation { login(input: {email: %q, password: %q}) { tokenType } }`, test[1], test[2]),
		)
		attempts = append(attempts, one)
	}
	for b.Loop() {
		for range 31 {
			for _, one := range attempts {
				one.rewind()
				w := httptest.NewRecorder()
				start := time.Now()
				handler.ServeHTTP(w, one.r)
				one.took = append(one.took, time.Since(start))
				if !strings.Contains(w.Body.String(), "INVALID_CREDENTIALS") {
					b.Fatal(w.Body)
				}
			}
		}
	}
	unknown := median(attempts[0].took)
	b.ReportMetric(float64(unknown.Milliseconds()), "ms/unknown")
	for _, one := range attempts[1:] {
		b.ReportMetric(float64(median(one.took))/float64(unknown), one.name+"/unknown")
	}
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func (discard) SetWriteDeadline(time.Time) error { return nil } // as the server's writers

// bare answers the query me with minimal code: golang-jwt verifies the token, and the row comes from memory, as in me.
func bare(a *app.App, key []byte) http.Handler {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var claims jwt.RegisteredClaims
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := parser.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		u, err := a.Accounts.ByID(r.Context(), account.ID(claims.Subject))
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"me": struct {
			ID        account.ID   `json:"id"`
			Email     string       `json:"email"`
			Name      string       `json:"name"`
			Roles     []token.Role `json:"roles"`
			CreatedAt time.Time    `json:"createdAt"`
		}{u.ID, u.Email, u.Name, u.Roles, u.CreatedAt.Std()}}})
	})
}

// BenchmarkMe compares the query me with bare, in alternation, and reports the ratio of the medians.
func BenchmarkMe(b *testing.B) {
	a, guarded := inProcess(b, bcrypt.MinCost)
	grant := jane(b, a, "jane@example.com")
	me, rewind := graphQL(b, `query Me { me { id email name roles createdAt } }`)
	me.Header.Set("Authorization", "Bearer "+grant.AccessToken)

	key := []byte("a key of 32 bytes for the sake..")
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: string(
			grant.Principal().UserID,
		), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}).SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	plain := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/me", nil)
	plain.Header.Set("Authorization", "Bearer "+signed)
	unguarded := bare(a, key)

	for _, one := range []struct {
		handler http.Handler
		r       *http.Request
	}{{guarded, me}, {unguarded, plain}} {
		w := httptest.NewRecorder()
		one.handler.ServeHTTP(w, one.r)
		if !strings.Contains(w.Body.String(), `"email":"jane@example.com"`) {
			b.Fatal(w.Body)
		}
	}
	runGuarded := func() {
		rewind()
		guarded.ServeHTTP(discard{http.Header{}}, me)
	}
	runBare := func() { unguarded.ServeHTTP(discard{http.Header{}}, plain) }
	b.Run("guarded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			runGuarded()
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			runBare()
		}
	})
	b.Run("ratio", func(b *testing.B) {
		var ours, theirs []time.Duration
		for b.Loop() {
			start := time.Now()
			runGuarded()
			middle := time.Now()
			runBare()
			ours, theirs = append(ours, middle.Sub(start)), append(theirs, time.Since(middle))
		}
		b.ReportMetric(float64(median(ours))/float64(median(theirs)), "guarded/bare")
	})
}
