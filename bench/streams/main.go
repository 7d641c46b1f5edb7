// Command streams opens thousands of subscriptions of one user on one server. It measures the memory of each, and how
// soon all end when the user logs out everywhere:
//
//	go run ./bench/streams -streams=5000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

var streams = flag.Int("streams", 5000, "WebSockets to open")

const (
	operation = "subscription { securityEvents { id } }"
	// settleFor limits the time until the server is at rest again.
	settleFor = 30 * time.Second
	// spare is the number of goroutines that may run for other reasons, such as a poll.
	spare = 5
	// endWithin limits the time until the last stream ends.
	endWithin = 5 * time.Second
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	metrics, err := replica.FreeAddress()
	if err != nil {
		return err
	}
	settings := append(replica.Unlimited(),
		"--metrics-listen="+metrics,
		"--memory-limit=4096",
		fmt.Sprintf("--streams-per-address=%d", *streams),
		fmt.Sprintf("--streams-per-user=%d", *streams),
	)
	return replica.Run(ctx, func(s *replica.Server) error {
		socketURL := strings.Replace(s.URL, "http", "ws", 1)
		return measure(ctx, replica.NewClient(s.URL), socketURL, "http://"+metrics+"/metrics")
	}, settings...)
}

func measure(ctx context.Context, client *replica.Client, socketURL, metricsURL string) error {
	defer client.Close()
	token, err := client.Register(ctx, "owner@example.com")
	if err != nil {
		return err
	}
	// Warm up, because the first streams fill caches.
	warm, err := open(ctx, socketURL, token, 20)
	if err != nil {
		return err
	}
	warm.close()
	before, err := settled(ctx, metricsURL, func(m gauges) bool { return m.streams == 0 })
	if err != nil {
		return err
	}
	start := time.Now()
	all, err := open(ctx, socketURL, token, *streams)
	if err != nil {
		return err
	}
	defer all.close()
	opened := time.Since(start)
	during, err := settled(ctx, metricsURL, func(m gauges) bool { return m.streams == *streams })
	if err != nil {
		return err
	}
	fmt.Printf("%d WebSockets of one user, each with: %s\n", *streams, operation)
	kilobytes := float64(during.resident-before.resident) / 1024 / float64(*streams)
	goroutines := float64(during.goroutines-before.goroutines) / float64(*streams)
	fmt.Printf("opened in %v; %.1f KiB of resident memory and %.1f goroutines per stream\n",
		opened.Round(time.Millisecond), kilobytes, goroutines)
	if err := end(ctx, client, token, all); err != nil {
		return err
	}
	after, err := settled(ctx, metricsURL, func(m gauges) bool {
		return m.streams == 0 && m.goroutines <= before.goroutines+spare
	})
	fmt.Printf("goroutines before %d, during %d, after %d\n", before.goroutines, during.goroutines, after.goroutines)
	return err
}

// end logs the user out everywhere, and prints how soon all streams were closed.
func end(ctx context.Context, client *replica.Client, token string, all *sockets) error {
	start := time.Now()
	if err := client.Logout(ctx, token, "ALL"); err != nil {
		return err
	}
	answered := time.Since(start)
	var took []time.Duration
	for _, one := range all.wait() {
		if one.code != 4403 {
			return fmt.Errorf("a stream was closed with %d, not 4403", one.code)
		}
		took = append(took, one.at.Sub(start))
	}
	slices.Sort(took)
	last := took[len(took)-1]
	fmt.Printf("logout of all sessions took %v; streams closed with 4403: half after %v, the last after %v\n",
		answered.Round(time.Millisecond), took[len(took)/2].Round(time.Millisecond), last.Round(time.Millisecond))
	if last > endWithin {
		return fmt.Errorf("the last stream ended after %v", last)
	}
	return nil
}
