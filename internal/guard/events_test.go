package guard_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// events reads the events of a subscription.
type events struct {
	tb    testing.TB
	lines *bufio.Scanner
}

func (s *server) subscribe(tb testing.TB, query, authorization string) *events {
	tb.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		tb.Fatal(err)
	}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, s.URL, strings.NewReader(string(body)))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = response.Body.Close() })
	return &events{tb, bufio.NewScanner(response.Body)}
}

// next returns the next event in the form of answer.String, or "" at the end.
func (e *events) next() string {
	e.tb.Helper()
	for e.lines.Scan() {
		if data, ok := strings.CutPrefix(e.lines.Text(), "data: "); ok && data != "" {
			var a answer
			if err := json.Unmarshal([]byte(data), &a); err != nil {
				e.tb.Fatalf("%q: %v", data, err)
			}
			return a.String()
		}
	}
	return ""
}

func (e *events) all() []string {
	e.tb.Helper()
	var list []string
	for {
		one := e.next()
		if one == "" {
			return list
		}
		list = append(list, one)
	}
}

func TestEachEventIsJudged(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	who := people(t, s)
	const mine = `{"diaries":{"name":"diary"}}`
	for _, test := range []struct {
		name, as, query string
		want            []string
	}{
		{"by its owner", "alice", `subscription { diaries { name } }`, []string{mine, "diaries ROLE_REQUIRED", mine}},
		{"of a type for its owner", "", `subscription { diaries { name } }`,
			[]string{"diaries TOKEN_MISSING"}},
		{"of a type with a field for a role", "keeper", `subscription { diaries { secret name } }`,
			[]string{"diaries.name NOT_OWNER", "diaries.name NOT_OWNER", "diaries.name NOT_OWNER"}},
		{"of one type among others", "alice", `subscription { exhibits { __typename ... on Diary { name } } }`,
			[]string{`{"exhibits":{"__typename":"Poster"}}`, "exhibits ROLE_REQUIRED",
				`{"exhibits":{"__typename":"Diary","name":"diary"}}`}},
		{"of one type among others, without a token", "", `subscription { exhibits { __typename } }`,
			[]string{`{"exhibits":{"__typename":"Poster"}}`, "exhibits TOKEN_MISSING", "exhibits TOKEN_MISSING"}},
		{"before the first, if the caller could read no event", "bob", `subscription { vaults { __typename } }`,
			[]string{"vaults ROLE_REQUIRED"}},
		{"before the first, if the caller could read some events", "admin", `subscription { vaults { __typename } }`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := s.subscribe(t, test.query, who[test.as]).all()
			for i, one := range got {
				got[i] = strings.TrimPrefix(strings.TrimPrefix(one, `{"diaries":null} `), "null ")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The mark of a subscription applies to each event, not only to the start.
func TestSubscriptionEndsWhenItsCallerLosesAccess(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	s.Zoo.Bell = make(chan int32)
	ring := func(n int32) { // after the end of the stream, the value is not received
		go func() {
			select {
			case s.Zoo.Bell <- n:
			case <-t.Context().Done():
			}
		}()
	}
	rings := s.subscribe(t, `subscription { rings }`, people(t, s)["alice"])
	ring(1)
	if got := rings.next(); got != `{"rings":1}` {
		t.Errorf("while the proof is recent: %s", got)
	}
	s.advance(t, 301*time.Second)
	ring(2)
	if got := rings.next(); got != "rings STEP_UP_REQUIRED" && got != "null rings STEP_UP_REQUIRED" {
		t.Errorf("when the proof is too old: %s", got)
	}
	ring(3)
	if got := rings.next(); got != "" {
		t.Errorf("after the end: %s", got)
	}
}
