package graph_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/schema"
)

// with sets a header to one or more values.
func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

func sdl(t *testing.T) *ast.Schema {
	t.Helper()
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holdsContract checks the properties of every error that is not the server's fault: a code and a reason of the SDL, a
// request id, and no details of the implementation.
func holdsContract(t *testing.T, s *ast.Schema, a *apptest.Answer) {
	t.Helper()
	if a.Status >= 500 {
		t.Errorf("status %d: %.500s", a.Status, a.Body)
	}
	for _, e := range a.Errors {
		x := e.Extensions
		if x.Code == "INTERNAL_SERVER_ERROR" || s.Types["ErrorCode"].EnumValues.ForName(x.Code) == nil {
			t.Errorf("code %q: %.500s", x.Code, a.Body)
		}
		if x.Reason != "" && s.Types["ErrorReason"].EnumValues.ForName(x.Reason) == nil {
			t.Errorf("reason %q is not in the SDL", x.Reason)
		}
		if x.RequestID == "" || x.RequestID != a.Header.Get("X-Request-Id") {
			t.Errorf("request id %q, header %q", x.RequestID, a.Header.Get("X-Request-Id"))
		}
		if len(e.Message) > 400 {
			t.Errorf("a message of %d bytes", len(e.Message))
		}
		if (x.Code == "RATE_LIMITED" || x.Code == "UNAVAILABLE") != (x.RetryAfter > 0) {
			t.Errorf("%s with retryAfter %d", x.Code, x.RetryAfter)
		}
		if (x.Code == "BAD_USER_INPUT") != (len(x.Fields) > 0) && a.Status == http.StatusOK {
			t.Errorf("%s with fields %v", x.Code, x.Fields)
		}
	}
	silent(
		t,
		a,
		"pq:",
		"sqlite",
		"syntax error at",
		"constraint",
		"strconv.",
		"json:",
		"panic",
		"goroutine",
		"runtime error",
		"github.com",
		"reflect",
		"graphql.",
		"model.",
		"unmarshal",
		"interface {}",
		"*ast.",
	)
}

// silent checks that an answer contains none of some texts, in any case.
func silent(t *testing.T, a *apptest.Answer, texts ...string) {
	t.Helper()
	body := strings.ToLower(string(a.Body))
	for _, text := range texts {
		if strings.Contains(body, strings.ToLower(text)) {
			t.Errorf("the answer contains %q: %.500s", text, a.Body)
		}
	}
}
