package graph_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

func little(o *apptest.Options) { o.Config.MemoryLimit = 128 }

// times repeats a text, with # replaced by the number of the repetition.
func times(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", fmt.Sprint(i)) + " ")
	}
	return b.String()
}

// TestTheDocumentCacheWeighsTrees does not run in parallel, because it measures the heap. A tree is 30 times as large
// as its text.
func TestTheDocumentCacheWeighsTrees(t *testing.T) {
	me := apptest.Start(t, little).As(t, "USER")
	const fields = "a#: me { id email name username emailVerified createdAt roles disabled sessions { nodes { id ip userAgent } } }"
	before := heapInUse()
	const n = 150
	for i := range n { // 290 KB each, for a cache of 4 MiB
		if answer := me.Do(t, "{ "+times(86, fields)+fmt.Sprintf("} # %d", i), nil); len(answer.Errors) > 0 {
			t.Fatalf("%s", answer.Body)
		}
		if i == 0 {
			before = heapInUse()
		}
	}
	if more := heapInUse() - before; more > 16<<20 {
		t.Errorf("%d documents take %d MiB", n, more>>20)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAnswersThatDoNotFitAreRefused requests 40,000 fields of list items, which take more than half of the memory that
// answers share.
func TestAnswersThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, little)
	me := srv.As(t, "USER")
	for range 99 {
		me.Do(
			t, `mutation($e: String!, $p: String!) { login(input: {email: $e, password: $p}) { tokenType } }`,
			map[string]any{"e": me.Email, "p": apptest.Password},
		)
	}
	const sessions = "fragment F on User { sessions(first: 100) { nodes { id createdAt lastSeenAt expiresAt ip userAgent current } } }"
	if answer := me.Do(t, "{ "+times(5, "a#: me { ...F }")+"}"+sessions, nil); len(answer.Errors) > 0 {
		t.Fatalf("3,500 fields: %s", answer.Body)
	}
	answer := me.Do(t, "{ "+times(80, "a#: me { ...F }")+"}"+sessions, nil)
	if answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || answer.Data != nil ||
		answer.Errors[0].Extensions.Code != "UNAVAILABLE" || answer.Errors[0].Extensions.Reason != "OVERLOADED" {
		t.Errorf("%d %v %.500s", answer.Status, answer.Header, answer.Body)
	}
	if answer := me.Do(t, "{ me { id } }", nil); len(answer.Errors) > 0 {
		t.Errorf("afterwards: %s", answer.Body)
	}
}
