package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

// flood are the clients that log in over and over.
type flood struct {
	cancel  context.CancelFunc
	group   sync.WaitGroup
	mu      sync.Mutex
	answers answers
	err     error // the first
}

// answers counts by what the login was answered with.
type answers map[string]int

func (a answers) String() string {
	var all []string
	for _, answer := range slices.Sorted(maps.Keys(a)) {
		all = append(all, fmt.Sprintf("%d %s", a[answer], answer))
	}
	return strings.Join(all, ", ")
}

// start has n clients log in as somebody whom nobody knows, each time as another from another address.
// One that is refused comes back after pause, give or take a half: all at once would be a flood of another kind.
func start(ctx context.Context, url string, n int, pause time.Duration) *flood {
	ctx, cancel := context.WithCancel(ctx)
	f := &flood{cancel: cancel, answers: answers{}}
	for range n {
		f.group.Go(func() {
			client := replica.NewClient(url)
			defer client.Close()
			for ctx.Err() == nil {
				answer, err := login(ctx, client)
				if ctx.Err() != nil {
					return
				}
				f.count(answer, err)
				if answer == "INVALID_CREDENTIALS" {
					continue
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause/2 + rand.N(pause+1)):
				}
			}
		})
	}
	return f
}

func (f *flood) count(answer string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[answer]++
	if f.err == nil {
		f.err = err
	}
}

// stop returns what the logins were answered with, and an error if one was out of order.
func (f *flood) stop() (answers, error) {
	f.cancel()
	f.group.Wait()
	return f.answers, f.err
}

// login is answered that the password is wrong, or when to try again; everything else is an error.
func login(ctx context.Context, client *replica.Client) (answer string, err error) {
	client.Header = http.Header{"X-Forwarded-For": {fmt.Sprintf("10.%d.%d.%d", rand.N(256), rand.N(256), rand.N(256))}}
	a, err := client.Do(ctx, "", `mutation($email: String!, $password: String!) { login(input: {email: $email, password: $password}) { tokenType } }`,
		map[string]any{"email": fmt.Sprintf("nobody%d@example.com", rand.Uint64()), "password": replica.Password})
	if err != nil {
		return "no answer", err
	}
	if len(a.Errors) != 1 {
		return "out of order", errors.New("nobody was let in, or refused more than once")
	}
	switch e := a.Errors[0].Extensions; {
	case e.Code == "UNAUTHENTICATED" && e.Reason == "INVALID_CREDENTIALS":
		return e.Reason, nil
	case (e.Code == "UNAVAILABLE" || e.Code == "RATE_LIMITED") && e.RetryAfter > 0:
		return e.Code + " with retryAfter", nil
	default:
		return "out of order", fmt.Errorf("a login is answered with %s, %s, retryAfter %d", e.Code, e.Reason, e.RetryAfter)
	}
}
