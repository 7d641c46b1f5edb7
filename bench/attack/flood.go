package attack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

// Flood is an attack on memory: many concurrent hostile requests.
type Flood struct {
	Name string
	// Settings are additional settings of the server.
	Settings []string
	run      func(ctx context.Context, t *Target) error
}

// Target is a server under a flood.
type Target struct {
	// URL is the GraphQL endpoint.
	URL string
	// Token is an access token of the registered user Email.
	Token, Email string

	mu       sync.Mutex
	verdicts map[string]int
}

// holdFor is how long a flood keeps its connections open.
const holdFor = 5 * time.Second

// Run floods t until all requests are answered, or have been held for a while.
func (f Flood) Run(ctx context.Context, t *Target) error {
	t.verdicts = make(map[string]int)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := f.run(ctx, t); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// Requests returns the number of requests and messages sent.
func (t *Target) Requests() (sum int) {
	for _, n := range t.verdicts {
		sum += n
	}
	return sum
}

// Verdicts returns the three most frequent verdicts with their numbers.
func (t *Target) Verdicts() string {
	names := slices.SortedFunc(maps.Keys(t.verdicts), func(a, b string) int {
		return 2*(t.verdicts[b]-t.verdicts[a]) + strings.Compare(a, b)
	})
	var all []string
	for _, name := range names[:min(3, len(names))] {
		all = append(all, fmt.Sprintf("%d × %s", t.verdicts[name], name))
	}
	return strings.Join(all, ", ")
}

// Failed returns the number of internal errors.
func (t *Target) Failed() (sum int) {
	for verdict, n := range t.verdicts {
		if strings.HasPrefix(verdict, "500") || strings.Contains(verdict, "INTERNAL") {
			sum += n
		}
	}
	return sum
}

func (t *Target) count(verdict string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts[verdict]++
}

// each calls f with 0 to n-1, at most atATime concurrently.
func each(n, atATime int, f func(i int) error) error {
	var group sync.WaitGroup
	errs, slots := make([]error, n), make(chan struct{}, atATime)
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// sessions opens n sessions of the user.
func (t *Target) sessions(ctx context.Context, n int) error {
	return each(n, 8, func(int) error {
		c := replica.NewClient(t.URL)
		defer c.Close()
		c.Header = map[string][]string{"User-Agent": {strings.Repeat("x", 256)}}
		_, err := c.Login(ctx, t.Email)
		return err
	})
}

// Floods returns all floods.
func Floods() []Flood {
	all := slices.Concat(requestFloods(), connectionFloods(), socketFloods())
	return append(
		all,
		Flood{Name: "all of these at once that need no settings", run: func(ctx context.Context, t *Target) error {
			return each(len(all), len(all), func(i int) error {
				if len(all[i].Settings) > 0 {
					return nil
				}
				return all[i].run(ctx, t)
			})
		}},
	)
}
