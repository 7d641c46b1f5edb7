package matrixtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// answer is an HTTP response.
type answer struct {
	status int
	Data   any
	Errors []struct {
		Path       []any
		Message    string
		Extensions struct{ Code, Reason string }
	}
}

func ask(t *testing.T, url, query, token string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	if strings.HasPrefix(query, "subscription") {
		request.Header.Set("Accept", "text/event-stream")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, event, ok := bytes.Cut(raw, []byte("\ndata: ")); ok {
		raw, _, _ = bytes.Cut(event, []byte("\n")) // the first event
	}
	a := answer{status: response.StatusCode}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%d %q: %v\n%s", response.StatusCode, raw, err, query)
	}
	return a
}

// compare describes how the answer differs from the outcome, or returns "".
func (o outcome) compare(a answer) string {
	if !o.refused {
		if len(a.Errors) > 0 {
			return fmt.Sprintf("want an answer, got %+v", a.Errors)
		}
		if !reaches(a.Data, o.names) {
			return fmt.Sprintf("want a value at %s, got %v", strings.Join(o.names, "."), a.Data)
		}
		return ""
	}
	want := fmt.Sprintf("%s %v at %s", o.code, o.reasons, strings.Join(o.names[:o.at+1], "."))
	if len(a.Errors) != 1 {
		return fmt.Sprintf("want %s, got %d errors %+v and %v", want, len(a.Errors), a.Errors, a.Data)
	}
	e := a.Errors[0]
	path := slices.DeleteFunc(e.Path, func(part any) bool { _, isIndex := part.(float64); return isIndex })
	samePath := fmt.Sprint(path) == fmt.Sprint(o.names[:o.at+1])
	if !samePath || e.Extensions.Code != o.code || !slices.Contains(o.reasons, e.Extensions.Reason) {
		return fmt.Sprintf("want %s, got %s %s at %v: %s", want, e.Extensions.Code, e.Extensions.Reason, path, e.Message)
	}
	if reaches(a.Data, o.names) {
		return fmt.Sprintf("refused, but answered: %v", a.Data)
	}
	statuses := map[string]int{"UNAUTHENTICATED": http.StatusUnauthorized, "FORBIDDEN": http.StatusForbidden}
	if status := statuses[o.code]; o.early && a.status != status {
		return fmt.Sprintf("status %d, want %d", a.status, status)
	}
	return ""
}

// reaches reports whether data has a value at the path names, in the first element of each list.
func reaches(data any, names []string) bool {
	for {
		list, ok := data.([]any)
		if !ok {
			break
		}
		if len(list) == 0 {
			return false
		}
		data = list[0]
	}
	object, ok := data.(map[string]any)
	if len(names) == 0 || !ok {
		return len(names) == 0 && data != nil
	}
	return reaches(object[names[0]], names[1:])
}
