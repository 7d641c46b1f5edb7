package main

import (
	"context"
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

// flood is a set of clients that log in repeatedly.
type flood struct {
	cancel  context.CancelFunc
	group   sync.WaitGroup
	mu      sync.Mutex
	answers answers
	err     error // the first
}

// answers counts logins by their response.
type answers map[string]int

func (a answers) String() string {
	var all []string
	for _, answer := range slices.Sorted(maps.Keys(a)) {
		all = append(all, fmt.Sprintf("%d %s", a[answer], answer))
	}
	return strings.Join(all, ", ")
}

// start starts n clients. They log in to unknown accounts, each time with another account and address. A refused client
// waits for a random time around pause, so that the clients do not return at the same moment.
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

// stop ends the flood. It returns the responses, and an error if one was unexpected.
func (f *flood) stop() (answers, error) {
	f.cancel()
	f.group.Wait()
	return f.answers, f.err
}

// login logs in once. The expected responses are a wrong password and a retryAfter; others are errors.
func login(ctx context.Context, client *replica.Client) (answer string, err error) {
	const query = `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) { tokenType }
	}`
	address := fmt.Sprintf("10.%d.%d.%d", rand.N(256), rand.N(256), rand.N(256))
	email := fmt.Sprintf("unknown%d@example.com", rand.Uint64())
	client.Header = http.Header{"X-Forwarded-For": {address}}
	a, err := client.Do(ctx, "", query, map[string]any{"email": email, "password": replica.Password})
	if err != nil {
		return "no answer", err
	}
	if len(a.Errors) != 1 {
		return "unexpected", fmt.Errorf("a login to an unknown account returned %d errors", len(a.Errors))
	}
	switch e := a.Errors[0].Extensions; {
	case e.Code == "UNAUTHENTICATED" && e.Reason == "INVALID_CREDENTIALS":
		return e.Reason, nil
	case (e.Code == "UNAVAILABLE" || e.Code == "RATE_LIMITED") && e.RetryAfter > 0:
		return e.Code + " with retryAfter", nil
	default:
		return "unexpected", fmt.Errorf("a login returned %s, %s, retryAfter %d", e.Code, e.Reason, e.RetryAfter)
	}
}
