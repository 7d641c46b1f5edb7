package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

const (
	modern = "application/graphql-response+json"
	plain  = "application/json"
)

func TestStatusFollowsTheErrorTable(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	const invalid, scope = `Bearer error="invalid_token"`, `Bearer error="insufficient_scope"`
	for _, c := range []struct {
		name, query string
		status      int    // in graphql-response+json
		data        string // in both
		challenge   string
		retryAfter  string // in both
	}{
		{"executed", `{health}`, 200, `{"health":"ok"}`, "", ""},
		{"partly refused", `{health fails(code:"UNAUTHENTICATED")}`, 200, `{"health":"ok","fails":null}`, "", ""},
		{"refused beside a nullable field", `{nothing fails(code:"UNAUTHENTICATED")}`, 200,
			`{"nothing":null,"fails":null}`, "", ""},
		{"refused below a root field", `{deep(code:"UNAUTHENTICATED")}`, 200, `{"deep":null}`, "", ""},
		{"refused for two reasons", `{a:fails(code:"UNAUTHENTICATED") b:fails(code:"RATE_LIMITED")}`, 200,
			`{"a":null,"b":null}`, "", ""},
		{"only root field refused", `{fails(code:"UNAUTHENTICATED",reason:"TOKEN_MISSING")}`, 401, "", "Bearer", ""},
		{"both root fields refused", `{a:fails(code:"UNAUTHENTICATED") b:fails(code:"UNAUTHENTICATED")}`, 401, "", "Bearer",
			""},
		{"non-null root field refused", `{must(code:"UNAUTHENTICATED",reason:"INVALID_CREDENTIALS")}`, 401, "", "Bearer", ""},
		{"refused before execution", `{locked(code:"UNAUTHENTICATED",reason:"TOKEN_MISSING")}`, 401, "", "Bearer", ""},
		{"mutation refused before execution", `mutation{count locked(code:"UNAUTHENTICATED")}`, 401, "", "Bearer", ""},
		{"token invalid", `{must(code:"UNAUTHENTICATED",reason:"TOKEN_INVALID")}`, 401, "", invalid, ""},
		{"token expired", `{locked(code:"UNAUTHENTICATED",reason:"TOKEN_EXPIRED")}`, 401, "", invalid, ""},
		{"token revoked", `{must(code:"UNAUTHENTICATED",reason:"TOKEN_REVOKED")}`, 401, "", invalid, ""},
		{"token stale", `{must(code:"UNAUTHENTICATED",reason:"TOKEN_STALE")}`, 401, "", invalid, ""},
		{"role missing", `{must(code:"FORBIDDEN",reason:"ROLE_REQUIRED")}`, 403, "", scope, ""},
		{"not the owner", `{fails(code:"FORBIDDEN",reason:"NOT_OWNER")}`, 403, "", scope, ""},
		{"step-up missing", `{locked(code:"FORBIDDEN",reason:"STEP_UP_REQUIRED")}`, 403, "", scope, ""},
		{"introspection off", `{locked(code:"FORBIDDEN",reason:"INTROSPECTION_DISABLED")}`, 403, "", "", ""},
		{"throttled", `{must(code:"RATE_LIMITED",retryAfter:7)}`, 429, "", "", "7"},
		{"the longest wait counts", `{a:fails(code:"RATE_LIMITED",retryAfter:7) b:fails(code:"RATE_LIMITED",retryAfter:9)}`,
			429, "", "", "9"},
		{"throttled in part", `{health fails(code:"RATE_LIMITED",retryAfter:7)}`, 200, `{"health":"ok","fails":null}`, "",
			""},
		{"unavailable", `{locked(code:"UNAVAILABLE",retryAfter:3)}`, 503, "", "", "3"},
		{"unavailable without a wait", `{must(code:"UNAVAILABLE")}`, 503, "", "", "1"},
		{"parse failure", `{`, 400, "", "", ""},
		{"validation failure", `{missing}`, 400, "", "", ""},
		{"coercion failure", `query($t:String!){echo(text:$t)}`, 400, "", "", ""},
		{"no operation", `fragment f on Query{health}`, 400, "", "", ""},
		{"bad input before execution", `{locked(code:"BAD_USER_INPUT")}`, 400, "", "", ""},
		{"bad input in a resolver", `{must(code:"BAD_USER_INPUT")}`, 200, `null`, "", ""},
		{"persisted query unknown", `{locked(code:"PERSISTED_QUERY_NOT_FOUND")}`, 400, "", "", ""},
		{"internal error before execution", `{locked(code:"INTERNAL_SERVER_ERROR")}`, 500, "", "", ""},
		{"internal error in a resolver", `{boom}`, 200, `null`, "", ""},
		{"unknown code", `{locked(code:"SURPRISE")}`, 500, "", "", ""},
	} {
		for _, media := range []string{modern, plain} {
			t.Run(c.name+" as "+media, func(t *testing.T) {
				t.Parallel()
				got := post(t, endpoint, media, operation(c.query))
				status, challenge := c.status, c.challenge
				if media == plain {
					status, challenge = 200, ""
				}
				type seen struct {
					Status                                int
					Data, ContentType, Challenge, RetryIn string
				}
				want := seen{status, c.data, media + "; charset=utf-8", challenge, c.retryAfter}
				have := seen{got.Status, string(got.Data), got.Header.Get("Content-Type"), got.Header.Get("WWW-Authenticate"),
					got.Header.Get("Retry-After")}
				if diff := cmp.Diff(want, have); diff != "" {
					t.Errorf("%s\n(-want +got) %s", got.Text, diff)
				}
				if c.data == "" && strings.Contains(got.Text, `"data"`) {
					t.Errorf("a request error has data: %s", got.Text)
				}
			})
		}
	}
}

func TestEveryResponseHasTheHeaders(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	for name, r := range map[string]*http.Request{
		"executed":     webtest.Request(t, "POST", endpoint, operation(`{health}`), "Content-Type", plain),
		"not executed": webtest.Request(t, "POST", endpoint, operation(`{`), "Content-Type", plain),
		"refused":      webtest.Request(t, "POST", endpoint, "{", "Content-Type", plain),
		"wrong method": webtest.Request(t, "PUT", endpoint, ""),
		"query by GET": webtest.Request(t, "GET", endpoint+"?query={health}", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, r)
			for header, want := range map[string]string{
				"Cache-Control":          "no-store",
				"Vary":                   "Authorization, Cookie, Origin, Accept",
				"X-Content-Type-Options": "nosniff",
				"Content-Type":           "application/json; charset=utf-8",
			} {
				if have := got.Header.Get(header); have != want {
					t.Errorf("%s: %q, want %q", header, have, want)
				}
			}
		})
	}
}

func TestGETRunsQueriesOnly(t *testing.T) {
	t.Parallel()
	a := newAPI()
	endpoint := a.serve(t, transport.HTTP{})
	get := func(t *testing.T, accept string, params ...string) answer {
		values := url.Values{}
		for i := 0; i < len(params); i += 2 {
			values.Add(params[i], params[i+1])
		}
		return send(t, webtest.Request(t, "GET", endpoint+"?"+values.Encode(), "", "Accept", accept))
	}
	for _, media := range []string{modern, plain} {
		got := get(t, media, "query", `query A($t:String!){echo(text:$t)} query B{health}`,
			"operationName", "A", "variables", `{"t":"x"}`)
		if got.Status != 200 || string(got.Data) != `{"echo":"x"}` {
			t.Errorf("query: %d %s", got.Status, got.Text)
		}
		for _, mutation := range []string{`mutation{count}`, `mutation{locked(code:"UNAUTHENTICATED")}`} {
			got := get(t, media, "query", mutation)
			if got.Status != 405 || got.Header.Get("Allow") != "POST" || got.Errors[0].Extensions.Reason != fault.PostRequired {
				t.Errorf("%s: %d %v %s", mutation, got.Status, got.Header, got.Text)
			}
		}
		for name, params := range map[string][]string{
			"no query":                {"operationName", "A"},
			"empty query":             {"query", ""},
			"query twice":             {"query", "{health}", "query", "{health}"},
			"variables twice":         {"query", "{health}", "variables", "{}", "variables", "{}"},
			"variables not an object": {"query", "{health}", "variables", "[]"},
			"variables not JSON":      {"query", "{health}", "variables", "{"},
			"data after variables":    {"query", "{health}", "variables", "{}{}"},
			"extensions not JSON":     {"query", "{health}", "extensions", "x"},
			"not UTF-8":               {"query", "{health}\xff"},
		} {
			if got := get(t, media, params...); got.Status != 400 || got.Errors[0].Extensions.Reason != fault.BodyMalformed {
				t.Errorf("%s: %d %s", name, got.Status, got.Text)
			}
		}
		got = send(t, webtest.Request(t, "GET", endpoint+"?query={health}&x=%zz", "", "Accept", media))
		if got.Status != 400 {
			t.Errorf("broken escape: %d %s", got.Status, got.Text)
		}
	}
	if n := a.count.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
}

func TestASubscriptionIsNotServedOverPlainHTTP(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	for _, media := range []string{modern, plain} {
		for _, r := range []*http.Request{
			webtest.Request(t, "POST", endpoint, operation(`subscription{ticks}`), "Content-Type", plain, "Accept", media),
			webtest.Request(t, "GET", endpoint+"?query=subscription{ticks}", "", "Accept", media),
		} {
			if got := send(t, r); got.Status != 400 || got.Errors[0].Extensions.Code != fault.BadUserInput {
				t.Errorf("%s as %s: %d %s", r.Method, media, got.Status, got.Text)
			}
		}
	}
}

func TestHTTPDoesNotSupportUpgrades(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	if !(transport.HTTP{}).Supports(r) {
		t.Error("a GET is not supported")
	}
	r.Header.Set("Upgrade", "websocket")
	if (transport.HTTP{}).Supports(r) {
		t.Error("an upgrade is supported")
	}
}

func TestErrorsAreCapped(t *testing.T) {
	t.Parallel()
	var unknown, failing strings.Builder
	for i := range 50 {
		fmt.Fprintf(&unknown, "x%d ", i)
		fmt.Fprintf(&failing, `f%d:fails(code:"CONFLICT") `, i)
	}
	for limit, want := range map[int]int{0: 10, 3: 3} {
		endpoint := newAPI().serve(t, transport.HTTP{MaxErrors: limit})
		for _, fields := range []string{unknown.String(), failing.String()} {
			if got := post(t, endpoint, plain, operation("{"+fields+"}")); len(got.Errors) != want {
				t.Errorf("MaxErrors %d: %d errors for %.20s…", limit, len(got.Errors), fields)
			}
		}
	}
}

func TestTheErrorCapKeepsEachCode(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{MaxErrors: 3})
	conflicts := strings.Repeat(`:fails(code:"CONFLICT") x`, 8)
	all := numbered("{ x" + conflicts + `:fails(code:"RATE_LIMITED") x` + conflicts + `:fails(code:"NOT_FOUND") }`)
	two := numbered("{ x" + conflicts + `:fails(code:"RATE_LIMITED") }`)
	three := numbered(`{ x:fails(code:"CONFLICT") x:fails(code:"NOT_FOUND") x:fails(code:"CONFLICT") }`)
	const invalid = fault.ValidationFailed
	for document, want := range map[string]struct {
		codes   []fault.Code
		omitted string
	}{
		all:             {[]fault.Code{"CONFLICT", "RATE_LIMITED", "NOT_FOUND"}, `"errorsOmitted":15`},
		two:             {[]fault.Code{"CONFLICT", "CONFLICT", "RATE_LIMITED"}, `"errorsOmitted":6`},
		three:           {[]fault.Code{"CONFLICT", "NOT_FOUND", "CONFLICT"}, ""},
		"{ a b c d e }": {[]fault.Code{invalid, invalid, invalid}, `"errorsOmitted":2`},
	} {
		got := post(t, endpoint, plain, operation(document))
		var codes []fault.Code
		for _, e := range got.Errors {
			codes = append(codes, e.Extensions.Code)
		}
		if diff := cmp.Diff(want.codes, codes); diff != "" {
			t.Errorf("%s: %s", document, diff)
		}
		if want.omitted == "" && strings.Contains(got.Text, "errorsOmitted") || !strings.Contains(got.Text, want.omitted) {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
}

// numbered replaces the aliases x of a document by different names.
func numbered(document string) string {
	for n := 0; strings.Contains(document, "x:"); n++ {
		document = strings.Replace(document, "x:", fmt.Sprintf("f%d:", n), 1)
	}
	return document
}

func TestTheErrorCapDoesNotChangeTheStatus(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{MaxErrors: 1})
	got := post(t, endpoint, modern, operation(`{a:fails(code:"UNAUTHENTICATED") b:fails(code:"CONFLICT")}`))
	if got.Status != 200 || len(got.Errors) != 1 {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

func TestAnOperationWithoutAResponseIsUnavailable(t *testing.T) {
	t.Parallel()
	e := newAPI().executor()
	e.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return next(ctx)
	})
	endpoint := listen(t, over(transport.HTTP{}, e))
	got := post(t, endpoint, modern, operation(`{health}`))
	if got.Status != 503 || got.Errors[0].Extensions.Reason != fault.TimedOut || got.Header.Get("Retry-After") == "" ||
		got.Data != nil {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Text)
	}
}

func TestResponseExtensionsAreSent(t *testing.T) {
	t.Parallel()
	e := newAPI().executor()
	e.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		graphql.RegisterExtension(ctx, "cost", 3)
		return next(ctx)
	})
	endpoint := listen(t, over(transport.HTTP{}, e))
	for _, query := range []string{`{health}`, `{`} {
		got := post(t, endpoint, plain, operation(query))
		if diff := cmp.Diff(map[string]any{"cost": 3.0}, got.Extensions); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestDifferentErrorCodesGiveOneStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codes  []fault.Code
		status int
	}{
		{[]fault.Code{fault.Unauthenticated, fault.Conflict}, 400},
		{[]fault.Code{fault.Conflict, fault.Unauthenticated}, 400},
		{[]fault.Code{fault.Unauthenticated, fault.Forbidden, fault.RateLimited}, 400},
		{[]fault.Code{fault.Unauthenticated, fault.Forbidden, fault.Forbidden}, 400},
		{[]fault.Code{fault.Unavailable, fault.Unauthenticated}, 503},
		{[]fault.Code{fault.Unauthenticated, fault.Internal, fault.Unauthenticated}, 500},
	} {
		e := newAPI().executor()
		e.AroundOperations(func(context.Context, graphql.OperationHandler) graphql.ResponseHandler {
			var resp graphql.Response
			for _, code := range c.codes {
				resp.Errors = append(resp.Errors, &gqlerror.Error{Message: "x", Extensions: map[string]any{"code": code}})
			}
			return graphql.OneShot(&resp)
		})
		got := post(t, listen(t, over(transport.HTTP{}, e)), modern, operation(`{health}`))
		if got.Status != c.status || got.Header.Get("WWW-Authenticate") != "" ||
			(got.Header.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%v: %d %v", c.codes, got.Status, got.Header)
		}
	}
}

func TestAResponseThatCannotBeEncodedIsNotStarted(t *testing.T) {
	t.Parallel()
	e := newAPI().executor()
	e.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		graphql.RegisterExtension(ctx, "bad", make(chan int))
		return next(ctx)
	})
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/?query={health}", nil)
	defer func() {
		// gqlgen's server handles the panic and responds 500, which requires that no response has started.
		if recover() == nil || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "" {
			t.Errorf("%v %s", w.Header(), w.Body)
		}
	}()
	over(transport.HTTP{}, e).ServeHTTP(w, r)
}

func TestAnEmptyResponseIsWellFormed(t *testing.T) {
	t.Parallel()
	e := newAPI().executor()
	e.AroundOperations(func(context.Context, graphql.OperationHandler) graphql.ResponseHandler {
		return graphql.OneShot(&graphql.Response{})
	})
	endpoint := listen(t, over(transport.HTTP{}, e))
	if got := post(t, endpoint, modern, operation(`{health}`)); got.Status != 200 || got.Text != `{"data":null}` {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

func TestRefusalsKeepTheirCodeWithoutAPresenter(t *testing.T) {
	t.Parallel()
	e := executor.New(newAPI())
	endpoint := listen(t, over(transport.HTTP{}, e))
	got := post(t, endpoint, modern, "{")
	if got.Status != 400 || got.Errors[0].Extensions.Code != fault.BadUserInput ||
		got.Errors[0].Extensions.Reason != fault.BodyMalformed {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

func TestClientsThatDoNotReadAreDisconnected(t *testing.T) {
	t.Parallel()
	api := over(transport.HTTP{}, newAPI().executor())
	synctest.Test(t, func(t *testing.T) {
		held := make(chan time.Duration, 1)
		conn := webtest.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			api.ServeHTTP(w, r)
			held <- time.Since(begin)
		}))()
		defer func() { _ = conn.Close() }()
		body := operation(`{echo(text:"` + strings.Repeat("a", 100_000) + `")}`)
		if err := webtest.Request(t, "POST", "http://x/", body, "Content-Type", plain).Write(conn); err != nil {
			t.Fatal(err)
		}
		if got := <-held; got != 30*time.Second {
			t.Errorf("held for %v", got)
		}
	})
}
