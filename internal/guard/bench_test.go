package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/model"
)

// BenchmarkAuthenticate measures a token that was verified before, with the revocation check.
func BenchmarkAuthenticate(b *testing.B) {
	s := open(b)
	raw := s.issue(b, s.claims("alice", "ADMIN"))
	for b.Loop() {
		if _, err := s.Authenticator.Authenticate(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMiddleware also reads the header and creates the context.
func BenchmarkMiddleware(b *testing.B) {
	s := open(b)
	handler := s.Authenticator.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	request := httptest.NewRequest(http.MethodPost, "/", nil)
	request.Header.Set("Authorization", "Bearer "+s.issue(b, s.claims("alice", "ADMIN")))
	for b.Loop() {
		handler.ServeHTTP(nil, request)
	}
}

func median(durations []time.Duration) float64 {
	slices.Sort(durations)
	return float64(durations[len(durations)/2])
}

// litter gives every cat 50 kittens.
type litter struct{ kittens []*model.Cat }

func newLitter() litter {
	return litter{slices.Repeat([]*model.Cat{{Name: "Tim", Lives: 9}}, 50)}
}

func (litter) ExtensionName() string                   { return "Litter" }
func (litter) Validate(graphql.ExecutableSchema) error { return nil }

func (l litter) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	if graphql.GetFieldContext(ctx).Field.Name == "cat" {
		return &model.Cat{Name: "Tom", Kittens: l.kittens}, nil
	}
	return next(ctx)
}

// silent is a ResponseWriter that discards the response.
type silent struct{ header http.Header }

func (s silent) Header() http.Header            { return s.header }
func (silent) Write(p []byte) (int, error)      { return len(p), nil }
func (silent) WriteHeader(int)                  {}
func (silent) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkList reads a list of 50 objects with 6 fields each, in alternation: without the guard, with it, and with
// a guard that leaves all fields to gqlgen. It reports the ratios of the medians to those without the guard.
func BenchmarkList(b *testing.B) {
	s := open(b)
	policy, err := guard.NewPolicy(guardtest.Load(), "public")
	if err != nil {
		b.Fatal(err)
	}
	authorization := "Bearer " + s.issue(b, s.claims("alice"))
	const body = `{"query": "{ cat { kittens { a: name b: lives c: name d: lives e: name f: lives } } }"}`
	type variant struct {
		name    string
		handler http.Handler
		took    []time.Duration
	}
	guarded := &variant{name: "guarded", handler: s.handler(policy, newLitter())}
	plain := &variant{name: "plain", handler: s.handler(nil, newLitter())}
	s.Fields = ordinary
	judged := &variant{name: "judged", handler: s.handler(policy, newLitter())}
	variants := []*variant{plain, guarded, judged}
	run := func(v *variant, w http.ResponseWriter) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", authorization)
		began := time.Now()
		v.handler.ServeHTTP(w, r)
		v.took = append(v.took, time.Since(began))
	}
	for _, v := range variants {
		w := httptest.NewRecorder()
		run(v, w)
		if got := strings.Count(w.Body.String(), `{"a":"Tim","b":9,"c":"Tim","d":9,"e":"Tim","f":9}`); got != 50 {
			b.Fatal(w.Body)
		}
		v.took = nil
	}
	for b.Loop() {
		for _, v := range variants {
			run(v, silent{http.Header{}})
		}
	}
	unguarded := median(plain.took)
	for _, v := range variants {
		b.ReportMetric(median(v.took)/unguarded, v.name+"/plain")
		b.ReportMetric(testing.AllocsPerRun(20, func() { run(v, silent{http.Header{}}) }), v.name+"-allocs")
	}
}
