package memory_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// bulk is the part of limit that requests may claim, and share the part of bulk that one owner may claim.
const (
	limit = 24 << 20
	bulk  = limit / 6
	share = bulk / 4 * 3
)

func wantRefused(t *testing.T, err error) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Code != fault.Unavailable || f.Reason != fault.Overloaded || f.RetryAfter <= 0 {
		t.Errorf("got %v, want UNAVAILABLE with retryAfter", err)
	}
}

func TestClaimsDivideThePool(t *testing.T) {
	t.Parallel()
	b := memory.NewBudget(limit)
	a, other := b.Work("a"), b.Work("b")
	if err := a.Grow(share); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, b.Work("a").Grow(64<<10)) // the share of one owner
	if err := other.Grow(bulk - share); err != nil {
		t.Errorf("the rest for others: %v", err)
	}
	wantRefused(t, b.Work("c").Grow(64<<10)) // the pool
	if err := b.Work("c").Grow(4 << 10); err != nil {
		t.Errorf("a small message: %v", err)
	}
	a.Release()
	a.Release()
	if err := b.Work("c").Grow(share); err != nil {
		t.Errorf("after a release: %v", err)
	}
}

func TestARefusedClaimStaysRefused(t *testing.T) {
	t.Parallel()
	b := memory.NewBudget(limit)
	work := b.Work("a")
	wantRefused(t, work.Grow(bulk))
	wantRefused(t, work.Grow(1))
	wantRefused(t, work.Refused())
	work.Keep(0)
	if err := work.Grow(1); err != nil || work.Refused() != nil {
		t.Errorf("the next event: %v", err)
	}
}

func TestKeepNeverFails(t *testing.T) {
	t.Parallel()
	b := memory.NewBudget(limit)
	work := b.Work("a")
	work.Keep(2 * bulk)
	wantRefused(t, b.Work("b").Grow(64<<10))
	work.Keep(bulk / 4)
	if err := b.Work("b").Grow(bulk / 2); err != nil {
		t.Error(err)
	}
}

func TestRunningRequestsAreCounted(t *testing.T) {
	t.Parallel()
	b := memory.NewBudget(limit)
	var running []*memory.Claim
	for {
		work := b.Work("")
		if err := b.Run(work); err != nil {
			wantRefused(t, err)
			work.Release()
			break
		}
		running = append(running, work)
	}
	if want := limit / 16 / (32 << 10); len(running) != want {
		t.Errorf("%d requests run, want %d", len(running), want)
	}
	running[0].Release()
	if err := b.Run(b.Work("")); err != nil {
		t.Error(err)
	}
}

func TestReleasedClaimsLeaveNoRest(t *testing.T) {
	t.Parallel()
	b := memory.NewBudget(limit)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 1000 {
				work := b.Work(fmt.Sprint(i % 3))
				_ = b.Run(work)
				var inner sync.WaitGroup
				for range 2 {
					inner.Go(func() { _ = work.Grow(100 << 10) })
				}
				inner.Wait()
				work.Keep(1)
				work.Release()
			}
		})
	}
	group.Wait()
	if first, second := b.Work("0").Grow(share), b.Work("1").Grow(bulk-share); first != nil || second != nil {
		t.Errorf("claims remain: %v, %v", first, second)
	}
}

func TestANilBudgetRefusesNothing(t *testing.T) {
	t.Parallel()
	var b *memory.Budget
	work := b.Work("a")
	stream, err := b.Stream("a")
	if err != nil || b.Run(work) != nil || work.Grow(1<<50) != nil || work.Refused() != nil || b.Crowded() {
		t.Error("refused")
	}
	work.Keep(1)
	work.Release()
	stream.Release()
}

// heap returns the bytes in use. Tests that compare it cannot be parallel.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestDocumentsDoNotTakeMoreThanTheirWeight(t *testing.T) {
	const n = 100
	for name, text := range map[string]string{
		"fields":     "{ me { " + strings.Repeat("id email name username ", 50) + "} }",
		"nested":     strings.Repeat("{ a b c d: e ", 200) + strings.Repeat("}", 200),
		"arguments":  "{ " + strings.Repeat(`a(x: 1, y: "2", z: $v) `, 100) + "}",
		"objects":    "{ a(x: [" + strings.Repeat(`{b: 1, c: [2]} `, 100) + "]) }",
		"directives": "{ " + strings.Repeat("a @skip(if: false) @include(if: $v) ", 100) + "}",
		"fragments":  "{ " + strings.Repeat("...F ", 100) + "} " + strings.Repeat("fragment F on T { a } ", 100),
		"inline":     "{ " + strings.Repeat("... on T { a } ", 200) + "}",
		"variables":  "query(" + strings.Repeat("$v: [Int!] = [1, 2] @a ", 100) + ") { a }",
		"operations": strings.Repeat("query Q { a } ", 100),
	} {
		documents := make([]*ast.QueryDocument, n)
		before := heap()
		weight := int64(0)
		for i := range documents {
			source := strings.Clone(text)
			document, err := parser.ParseQuery(&ast.Source{Input: source})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			documents[i] = document
			weight += int64(len(source)) + memory.Document(document)
		}
		taken := heap() - before
		if taken > weight || taken < weight/8 {
			t.Errorf("%s: %d bytes per document, weighed as %d", name, taken/n, weight/n)
		}
		runtime.KeepAlive(documents)
	}
}

func TestValuesDoNotTakeMoreThanTheirWeight(t *testing.T) {
	const n = 20
	for name, text := range map[string]string{
		"lists":   "[" + strings.Repeat("[],", 10_000) + "[]]",
		"objects": "[" + strings.Repeat(`{"a":0},`, 5_000) + "{}]",
		"texts":   `["` + strings.Repeat(strings.Repeat("x", 100)+`","`, 1_000) + `"]`,
	} {
		values := make([]any, n)
		before := heap()
		weight := int64(0)
		for i := range values {
			if err := json.Unmarshal([]byte(text), &values[i]); err != nil {
				t.Fatal(err)
			}
			weight += memory.Values(values[i])
		}
		if taken := heap() - before; taken > weight {
			t.Errorf("%s: %d bytes, weighed as %d", name, taken/n, weight/n)
		}
		runtime.KeepAlive(values)
	}
}
