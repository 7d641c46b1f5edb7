package graph_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// outcome sends a request with any members, and returns the code of the first error or the data.
func outcome(t *testing.T, srv *apptest.Server, request map[string]any) string {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(srv.URL+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data   json.RawMessage
		Errors []apptest.Error
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if len(answer.Errors) > 0 {
		return answer.Errors[0].Extensions.Code
	}
	return string(answer.Data)
}

func hashed(hash string, version any) map[string]any {
	return map[string]any{"persistedQuery": map[string]any{"version": version, "sha256Hash": hash}}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestAutomaticPersistedQueries(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	const query, data = `{ __typename }`, `{"__typename":"Query"}`
	if got := outcome(t, srv, map[string]any{"extensions": hashed(hashOf(query), 1)}); got != "PERSISTED_QUERY_NOT_FOUND" {
		t.Errorf("an unknown hash: %s", got)
	}
	if got := outcome(t, srv, map[string]any{
		"query":      `{ __typename } `,
		"extensions": hashed(hashOf(query), 1),
	}); got != "BAD_USER_INPUT" {
		t.Errorf("another query's hash: %s", got)
	}
	if got := outcome(t, srv, map[string]any{"extensions": hashed(hashOf(query), 1)}); got != "PERSISTED_QUERY_NOT_FOUND" {
		t.Errorf("a wrong pair was stored: %s", got)
	}
	if got := outcome(t, srv, map[string]any{"query": query, "extensions": hashed(hashOf(query), 1)}); got != data {
		t.Errorf("query and hash: %s", got)
	}
	if got := outcome(t, srv, map[string]any{"extensions": hashed(strings.ToUpper(hashOf(query)), 1)}); got != data {
		t.Errorf("the hash alone: %s", got)
	}
	if got := outcome(t, srv, map[string]any{"query": query}); got != data {
		t.Errorf("the query alone: %s", got)
	}
	for name, extensions := range map[string]any{
		"another version":  hashed(hashOf(query), 2),
		"a textual number": hashed(hashOf(query), "one"),
		"no hash":          hashed("", 1),
		"a long hash":      hashed(strings.Repeat("a", 200), 1),
		"a text":           map[string]any{"persistedQuery": "x"},
		"a list":           map[string]any{"persistedQuery": []int{1}},
	} {
		if got := outcome(t, srv, map[string]any{"query": query, "extensions": extensions}); got != "BAD_USER_INPUT" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The formats are files of other tools, and ids with the prefix of the GraphQL-over-HTTP draft.
func TestFormatsOfTrustedDocuments(t *testing.T) {
	t.Parallel()
	const data = `{"__typename":"Query"}`
	for name, test := range map[string]struct{ file, id string }{
		"graphql-codegen and Relay": {`{"00ff": "query Q { __typename }"}`, "00ff"},
		"prefixed ids":              {`{"sha256:00ff": "query Q { __typename }"}`, "00ff"},
		"a prefixed request":        {`{"00ff": "query Q { __typename }"}`, "sha256:00ff"},
		"Apollo's manifest": {`{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [
			{"id": "00ff", "name": "Q", "type": "query", "body": "query Q { __typename }"}]}`, "00ff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "documents.json")
			if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			srv := apptest.Start(t, func(o *apptest.Options) { o.Config.TrustedDocuments = file })
			for _, request := range []map[string]any{{"documentId": test.id}, {"extensions": hashed(test.id, 1)}} {
				if got := outcome(t, srv, request); got != data {
					t.Errorf("%v: %s", request, got)
				}
			}
			if got := outcome(t, srv, map[string]any{"documentId": "00"}); got != "PERSISTED_QUERY_NOT_ALLOWED" {
				t.Errorf("another id: %s", got)
			}
		})
	}
}

func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	const trusted, data = `query Trusted { __typename }`, `{"__typename":"Query"}`
	file := filepath.Join(t.TempDir(), "documents.json")
	if err := os.WriteFile(file, []byte(`{"doc-1": "query Trusted { __typename }"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.TrustedDocuments = file })
	for name, request := range map[string]map[string]any{
		"by id":          {"extensions": hashed("doc-1", 1)},
		"by text":        {"query": trusted},
		"by both":        {"query": trusted, "extensions": hashed("doc-1", 1)},
		"with variables": {"query": trusted, "variables": map[string]any{}},
		"by documentId":  {"documentId": "doc-1"},
	} {
		if got := outcome(t, srv, request); got != data {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, request := range map[string]map[string]any{
		"an unknown id":            {"extensions": hashed("doc-2", 1)},
		"another text":             {"query": `{ __typename }`},
		"another text under an id": {"query": `{ __typename }`, "extensions": hashed("doc-1", 1)},
		"its text under no id":     {"query": trusted, "extensions": hashed("doc-2", 1)},
		"an automatic one":         {"query": `{ __typename }`, "extensions": hashed(hashOf(`{ __typename }`), 1)},
		"introspection":            {"query": `{ __schema { types { name } } }`},
	} {
		if got := outcome(t, srv, request); got != "PERSISTED_QUERY_NOT_ALLOWED" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTrustedDocumentsAreChecked(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"not JSON":            `doc`,
		"empty":               `{}`,
		"a list":              `["{ __typename }"]`,
		"no GraphQL":          `{"a": "query {"}`,
		"against the schema":  `{"a": "{ __typename }", "b": "{ nothing }"}`,
		"the file is missing": ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := apptest.Config(t)
			c.TrustedDocuments = filepath.Join(t.TempDir(), "documents.json")
			if content != "" {
				if err := os.WriteFile(c.TrustedDocuments, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if problems := c.Complete(func(string) bool { return true }); len(problems) > 0 {
				t.Fatal(problems)
			}
			a, err := app.Open(t.Context(), c, app.Serves, nil, nil)
			if err == nil {
				_ = a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "--trusted-documents") {
				t.Errorf("got %v", err)
			}
		})
	}
}
