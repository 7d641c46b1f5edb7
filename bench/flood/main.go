// Command flood measures what a flood of logins leaves for a user who is signed in. It exits with 1 if their
// requests take more than three times as long as before, or if a login is answered out of order:
//
//	go run ./bench/flood -logins=200
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

var (
	logins = flag.Int("logins", 200, "how many logins are under way at any moment")
	length = flag.Duration("for", 20*time.Second, "how long to measure without the flood, and in it")
	pause  = flag.Duration("pause", time.Second, "how long a client waits that was refused, whatever it was told")
)

const (
	// maxRatio bounds the 99th percentile of the user's requests in the flood, against that without it.
	maxRatio = 3
	// every is how often the user asks.
	every = 5 * time.Millisecond
	// settle is how long is not measured at first: caches are empty, or the flood not yet at its height.
	settle = 2 * time.Second
)

// The server believes loopback, so that each login comes from another address and no throttle answers in
// the place of the password pool. All other settings are as they come.
func main() {
	flag.Parse()
	ctx := context.Background()
	if err := replica.Run(ctx, func(s *replica.Server) error { return measure(ctx, s.URL) }, "--trusted-proxies=127.0.0.1"); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, url string) error {
	client := replica.NewClient(url)
	defer client.Close()
	token, err := client.Register(ctx, "owner@example.com")
	if err != nil {
		return err
	}
	idle, err := watch(ctx, client, token)
	if err != nil {
		return err
	}
	flood := start(ctx, url, *logins, *pause)
	flooded, err := watch(ctx, client, token)
	answers, outOfOrder := flood.stop()
	if err := errors.Join(err, outOfOrder); err != nil {
		return err
	}
	ratio := float64(flooded.at(99)) / float64(idle.at(99))
	fmt.Printf("me, without a flood:     p50 %v, p99 %v, max %v of %d\n", idle.at(50), idle.at(99), idle.at(100), len(idle))
	fmt.Printf("me, with %4d logins:    p50 %v, p99 %v, max %v of %d\n", *logins, flooded.at(50), flooded.at(99), flooded.at(100), len(flooded))
	fmt.Printf("p99 with the flood / without: %.2f; promised: at most %d\n", ratio, maxRatio)
	fmt.Printf("logins answered in %v: %v\n", *length+settle, answers)
	if ratio > maxRatio {
		return errors.New("the flood slows down who is signed in")
	}
	return nil
}

// times are how long requests took, sorted.
type times []time.Duration

func (t times) at(percent int) time.Duration {
	return t[(len(t)-1)*percent/100].Round(10 * time.Microsecond)
}

// watch asks who token is, at a steady rate, and measures how long the answer takes.
func watch(ctx context.Context, client *replica.Client, token string) (all times, err error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < settle+*length; <-tick.C {
		asked := time.Now()
		a, err := client.Me(ctx, token)
		if err != nil {
			return nil, err
		}
		if reason := a.Reason(); reason != "" {
			return nil, fmt.Errorf("who is signed in is refused: %s", reason)
		}
		if asked.Sub(begin) > settle {
			all = append(all, time.Since(asked))
		}
	}
	slices.Sort(all)
	return all, nil
}
