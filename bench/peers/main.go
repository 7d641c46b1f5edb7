// Command peers compares the throughput of Graphwarden with that of other servers that answer the same query for a
// bearer token. Each server runs alone on processor 0 while wrk sends requests from processor 1. The rounds are
// interleaved, so that a busy machine slows down all servers alike; still, only ratios within one run are meaningful.
// Run it from the root of the repository:
//
//	go run ./internal/store/storetest/withpostgres go run ./bench/peers -rounds=3 -seconds=4 -only=gqlgen,Graphwarden
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/graphwarden/graphwarden/bench/replica"
)

var (
	rounds  = flag.Int("rounds", 3, "measurements of each server; the tables show medians")
	seconds = flag.Int("seconds", 4, "duration of a measurement")
	only    = flag.String("only", "", "comma-separated parts of the names of the servers to measure")
	queries = flag.String("queries", "me,sessions,list", "comma-separated names of the queries to measure")
)

// query is an operation to measure. Queries with rows run only on servers that store sessions.
type query struct {
	name, document string
	rows           int
}

var allQueries = []query{
	{"me", "query Me { me { id email name } }", 0},
	{"sessions", "{ me { id name sessions(first: 10) { nodes { id ip current } } } }", 10},
	{"list", "{ me { id name sessions(first: 50) { nodes { id createdAt lastSeenAt expiresAt ip current } } } }", 50},
}

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := replica.InFolder(func(folder string) error { return run(ctx, folder) })
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	for _, tool := range []string{"wrk", "taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w (Debian: apt-get install wrk util-linux)", err)
		}
	}
	if runtime.NumCPU() < 2 {
		return errors.New("the server and wrk need a processor each")
	}
	servers, err := install(ctx, folder)
	if err != nil {
		return err
	}
	servers = slices.DeleteFunc(servers, func(s server) bool { return !selected(*only, s.name) })
	if len(servers) == 0 {
		return fmt.Errorf("no server has a name with %q", *only)
	}
	fmt.Printf("Medians of %d interleaved rounds of %d s with %d connections.\n", *rounds, *seconds, connections)
	for _, q := range allQueries {
		if !selected(*queries, q.name) {
			continue
		}
		if err := compare(ctx, folder, servers, q); err != nil {
			return err
		}
	}
	return nil
}

// selected reports whether name contains one of the comma-separated parts. No parts select every name.
func selected(parts, name string) bool {
	return slices.ContainsFunc(strings.Split(parts, ","), func(part string) bool { return strings.Contains(name, part) })
}

// compare measures q on each of servers that can answer it, and prints a table.
func compare(ctx context.Context, folder string, servers []server, q query) error {
	if q.rows > 0 {
		servers = slices.DeleteFunc(slices.Clone(servers), func(s server) bool { return !s.sessions })
	}
	if len(servers) == 0 {
		return nil
	}
	results := make([]result, len(servers))
	for round := range *rounds {
		for i, s := range servers {
			fmt.Fprintf(os.Stderr, "%s, round %d: %s\n", q.name, round+1, s.name)
			one, err := s.measure(ctx, folder, q)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			results[i] = append(results[i], one)
		}
	}
	return table(servers, results, q)
}

// result is the samples of one server, one of each round.
type result []sample

// median returns the median of value.
func (r result) median(value func(sample) float64) float64 {
	var values []float64
	for _, one := range r {
		values = append(values, value(one))
	}
	return middle(values)
}

// ratio returns the median ratio of value to that of base in the same round.
func (r result) ratio(base result, value func(sample) float64) float64 {
	var values []float64
	for round, one := range r {
		values = append(values, value(one)/value(base[round]))
	}
	return middle(values)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// table prints a Markdown table. The first server is the base of the ratios. It returns an error if requests failed.
func table(servers []server, results []result, q query) error {
	fmt.Printf("\n`%s`, ratios to %s:\n\n", q.document, servers[0].name)
	fmt.Println("| server | requests/s | ratio | p50 ms | p99 ms | p99 ratio | peak MiB | failures |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|")
	failures := 0
	for i, r := range results {
		failed := 0
		for _, one := range r {
			failed += one.failures()
		}
		fmt.Printf("| %s | %.0f | %.2f | %.2f | %.2f | %.2f | %.0f | %d |\n", servers[i].name,
			r.median(sample.rate), r.ratio(results[0], sample.rate), r.median(sample.p50), r.median(sample.p99),
			r.ratio(results[0], sample.p99), r.median(sample.peak), failed)
		failures += failed
	}
	if failures > 0 {
		return fmt.Errorf("%s: %d requests failed", q.name, failures)
	}
	return nil
}
