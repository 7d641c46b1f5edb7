// Program abuse sends the attacks of package attack to a server and prints what each came to, then its floods and how much
// memory the server took. It exits with 1 if an answer is out of order, or the memory above its bound. Without -url it
// builds the server of the current folder and runs it, as in production, on databases of its own.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/graphwarden/graphwarden/bench/attack"
	"github.com/graphwarden/graphwarden/bench/replica"
)

// idleFor is how long the server is watched once the attacks are over, and idleCPU what it may still use.
const (
	idleFor = 2 * time.Second
	idleCPU = 200 * time.Millisecond
)

// options are the command line.
type options struct {
	url    string
	server process
	tries  int
	binary string
	flood  *regexp.Regexp
	bound  int
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "the endpoint, for single attacks only; without it a server is built and started")
	pid := flag.Int("pid", 0, "the process that serves -url, if it runs here, to measure what it uses")
	flag.IntVar(&o.tries, "tries", 5, "how often each attack is tried; the table shows medians")
	flag.StringVar(&o.binary, "binary", "", "a built server, instead of that of the current folder")
	flood := flag.String("flood", "", "send only floods whose names match this regular expression, and no single attacks")
	flag.IntVar(&o.bound, "bound", 256, "the resident memory in MiB that no flood may exceed")
	flag.Parse()
	o.server = process(*pid)
	if *flood != "" {
		o.flood = regexp.MustCompile(*flood)
	}
	log.SetOutput(io.Discard) // net/http tells of answers to connections that did not ask yet
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	inOrder, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
	}
	if err != nil || !inOrder {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (inOrder bool, err error) {
	if o.url != "" {
		return report(ctx, o.url, o.server, o.tries, out)
	}
	inOrder = true
	err = replica.InFolder(func(folder string) error {
		if o.binary == "" {
			if o.binary, err = replica.Build(ctx, folder); err != nil {
				return err
			}
		}
		if o.flood == nil {
			err := serve(o.binary, os.Stderr, nil, func(s *replica.Server) (err error) {
				inOrder, err = report(ctx, s.URL, process(s.PID), o.tries, out)
				return err
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(out)
		}
		bounded, err := floods(ctx, o, out)
		inOrder = inOrder && bounded
		return err
	})
	return inOrder, err
}

// serve runs the server as in production on a database of its own, and calls f with it.
func serve(binary string, stderr io.Writer, settings []string, f func(*replica.Server) error) error {
	return replica.InFolder(func(folder string) error {
		s, err := replica.Start(binary, stderr, append([]string{"--production", "--public-url=https://localhost", "--log-level=error",
			"--secret=" + rand.Text() + rand.Text(), "--database=sqlite:" + filepath.Join(folder, "abuse.db")}, settings...)...)
		if err != nil {
			return err
		}
		return errors.Join(f(s), s.Stop())
	})
}

// report prints the table, and what the server is like afterwards.
func report(ctx context.Context, url string, server process, tries int, out io.Writer) (inOrder bool, err error) {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| attack\t| answer\t| bytes\t| ms\t| CPU ms\t| out of order\t|")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	inOrder = true
	for _, a := range attack.All() {
		r, err := measure(ctx, a, url, server, max(1, tries))
		if err != nil {
			return false, err
		}
		inOrder = inOrder && len(r.problems) == 0
		fmt.Fprintf(table, "| %s\t| %s\t| %d\t| %s\t| %s\t| %s\t|\n", a.Name, r.outcome.Verdict(), r.outcome.Bytes, milliseconds(median(r.took)), r.usage(), first(r.problems))
	}
	if err := table.Flush(); err != nil {
		return false, err
	}
	if server == 0 {
		return inOrder, nil
	}
	idle, err := server.rest(idleFor)
	if err != nil {
		return false, err
	}
	peak, err := server.memory("VmHWM")
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "\nPeak of memory: %d MiB. CPU in the %s after the last attack: %s ms.\n", peak, idleFor, milliseconds(idle))
	if idle > idleCPU {
		fmt.Fprintln(out, "The server does not come to rest.")
	}
	return inOrder && idle <= idleCPU, nil
}

// result is what all tries of one attack came to: the last outcome, and every problem.
type result struct {
	outcome   attack.Outcome
	took, cpu []time.Duration
	problems  []string
}

func measure(ctx context.Context, a attack.Attack, url string, server process, tries int) (r result, err error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for n := range tries {
		before, err := server.cpu()
		if err != nil {
			return r, err
		}
		if r.outcome, err = a.Send(ctx, client, url, n); err != nil {
			return r, err
		}
		after, err := server.cpu()
		if err != nil {
			return r, err
		}
		r.took, r.cpu = append(r.took, r.outcome.Took), append(r.cpu, after-before)
		r.problems = append(r.problems, a.Judge(r.outcome)...)
	}
	if server == 0 {
		r.cpu = nil
	}
	return r, nil
}

func (r result) usage() string {
	if r.cpu == nil {
		return "-"
	}
	return milliseconds(median(r.cpu))
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }

func first(problems []string) string {
	if len(problems) == 0 {
		return ""
	}
	return problems[0]
}
