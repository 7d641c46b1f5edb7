package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
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
