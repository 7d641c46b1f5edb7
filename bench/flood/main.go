// Command flood measures how a flood of logins slows down a signed-in user. It exits with 1 if the user's requests take
// more than three times as long as without the flood, or if a login gets an unexpected response:
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
	logins = flag.Int("logins", 200, "number of concurrent logins")
	length = flag.Duration("for", 20*time.Second, "how long to measure, with and without the flood")
	pause  = flag.Duration("pause", time.Second, "how long a refused client waits; it ignores retryAfter")
)

const (
	// maxRatio is the maximum p99 of the user's requests during the flood, relative to the p99 without it.
	maxRatio = 3
	// every is the interval of the user's requests.
	every = 5 * time.Millisecond
	// settle is the time before the measurement, in which caches fill and the flood rises.
	settle = 2 * time.Second
)

// main trusts loopback as a proxy, so that each login comes from another address and the throttle does not refuse it
// before the password pool does. All other settings are the defaults.
func main() {
	flag.Parse()
	ctx := context.Background()
	run := func(s *replica.Server) error { return measure(ctx, s.URL) }
	if err := replica.Run(ctx, run, "--trusted-proxies=127.0.0.1"); err != nil {
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
	answers, unexpected := flood.stop()
	if err := errors.Join(err, unexpected); err != nil {
		return err
	}
	ratio := float64(flooded.at(99)) / float64(idle.at(99))
	fmt.Printf("me, without a flood:     p50 %v, p99 %v, max %v of %d\n",
		idle.at(50), idle.at(99), idle.at(100), len(idle))
	fmt.Printf("me, with %4d logins:    p50 %v, p99 %v, max %v of %d\n",
		*logins, flooded.at(50), flooded.at(99), flooded.at(100), len(flooded))
	fmt.Printf("p99 with the flood / without: %.2f; promised: at most %d\n", ratio, maxRatio)
	fmt.Printf("logins answered in %v: %v\n", *length+settle, answers)
	if ratio > maxRatio {
		return errors.New("the flood slows down the signed-in user")
	}
	return nil
}

// times are the sorted durations of requests.
type times []time.Duration

func (t times) at(percent int) time.Duration {
	return t[(len(t)-1)*percent/100].Round(10 * time.Microsecond)
}

// watch sends requests with token at a steady rate and measures their durations.
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
			return nil, fmt.Errorf("the signed-in user is refused: %s", reason)
		}
		if asked.Sub(begin) > settle {
			all = append(all, time.Since(asked))
		}
	}
	slices.Sort(all)
	return all, nil
}
