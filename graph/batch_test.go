package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

func batches(o *apptest.Options) { o.Config.Batch = 10 }

// sendBatch posts any body, and returns the status and the body of the answer.
func sendBatch(t *testing.T, c *apptest.Client, body, accept string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, c.Server.URL+"/graphql", bytes.NewReader([]byte(body)),
	)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	if c.AccessToken != "" {
		r.Header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// answers returns the answers to a batch.
func answers(t *testing.T, c *apptest.Client, operations ...string) []apptest.Answer {
	t.Helper()
	var list []map[string]any
	for _, text := range operations {
		list = append(list, map[string]any{"query": text})
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	status, text := sendBatch(t, c, string(body), "application/json")
	var got []apptest.Answer
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || len(got) != len(operations) {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	return got
}

func TestABatchIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	status, text := sendBatch(t, srv.Anonymous(), ` [{"query": "{ __typename }"}]`, "application/graphql-response+json")
	if status != 400 || !strings.Contains(text, "BODY_MALFORMED") || !strings.Contains(text, "--batch") {
		t.Errorf("%d %s", status, text)
	}
}

func TestABatchAnswersEachOperation(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, batches)
	c := srv.As(t)
	got := answers(
		t, c, `mutation { updateProfile(input: {name: "Ada"}) { name } }`, `{ me { name } }`, `{ nothing }`,
		`{ users { totalCount } }`, `subscription { securityEvents { id } }`, ``,
	)
	for i, want := range []string{`{"updateProfile":{"name":"Ada"}}`, `{"me":{"name":"Ada"}}`} {
		if string(got[i].Data) != want || len(got[i].Errors) > 0 {
			t.Errorf("%d: %s %+v, want %s", i, got[i].Data, got[i].Errors, want)
		}
	}
	for i, want := range []string{"GRAPHQL_VALIDATION_FAILED", "FORBIDDEN", "BAD_USER_INPUT", "BAD_USER_INPUT"} {
		refused := got[2+i]
		if refused.Data != nil || len(refused.Errors) != 1 || refused.Errors[0].Extensions.Code != want ||
			refused.Errors[0].Extensions.RequestID == "" {
			t.Errorf("%d: %s %+v, want %s", 2+i, refused.Data, refused.Errors, want)
		}
	}
}

func TestMalformedBatchesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, batches)
	one := `{"query": "{ __typename }"}`
	for body, accept := range map[string]string{
		`[]`:             "application/json",
		`[` + one:        "application/json",
		`[` + one + `]x`: "application/json",
		`[` + strings.Repeat(one+",", 10) + one + `]`: "application/json",
		`[` + one + `, ` + one + `]`:                  "text/event-stream",
	} {
		status, text := sendBatch(t, srv.Anonymous(), body, accept)
		if status != 400 || !strings.Contains(text, "BODY_MALFORMED") || strings.Contains(text, "Query") {
			t.Errorf("%.80s: %d %s", body, status, text)
		}
	}
	status, text := sendBatch(t, srv.Anonymous(), `[null, 1, [], [`+one+`], `+one+`]`, "application/json")
	var got []apptest.Answer
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || len(got) != 5 ||
		string(got[4].Data) != `{"__typename":"Query"}` {
		t.Fatalf("%d %s", status, text)
	}
	for i := range 4 {
		if len(got[i].Errors) != 1 || got[i].Errors[0].Extensions.Code != "BAD_USER_INPUT" {
			t.Errorf("%d: %s", i, text)
		}
	}
}

func TestEachLoginOfABatchIsThrottled(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 5
	srv := apptest.Start(t, batches, limited(limits))
	var logins []string
	for range 10 {
		logins = append(logins, "mutation { "+guess("unknown@example.com", "wrong")+" }")
	}
	for i, answer := range answers(t, srv.Anonymous(), logins...) {
		want := "UNAUTHENTICATED"
		if i >= 5 {
			want = "RATE_LIMITED"
		}
		if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != want {
			t.Errorf("%d: %+v, want %s", i, answer.Errors, want)
		}
	}
}

func TestABatchSharesTheLimitsOfOneOperation(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, batches, func(o *apptest.Options) { o.Config.Queries.RootFields = 6 })
	operation := func(fields int) string {
		var list []string
		for i := range fields {
			list = append(list, fmt.Sprintf("a%d: __typename", i))
		}
		return "{ " + strings.Join(list, " ") + " }"
	}
	if one := answers(t, srv.Anonymous(), operation(6)); len(one[0].Errors) > 0 {
		t.Errorf("alone: %+v", one[0].Errors)
	}
	for _, answer := range answers(t, srv.Anonymous(), operation(3), operation(3)) {
		if len(answer.Errors) > 0 {
			t.Errorf("half each: %+v", answer.Errors)
		}
	}
	beyond := answers(t, srv.Anonymous(), operation(4), operation(2))
	if len(beyond[0].Errors) != 1 || beyond[0].Errors[0].Extensions.Reason != "TOO_MANY_ROOT_FIELDS" ||
		len(beyond[1].Errors) > 0 {
		t.Errorf("beyond its share: %+v", beyond)
	}
}
