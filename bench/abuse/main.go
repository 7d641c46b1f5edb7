// Command abuse sends the attacks of package attack to a server and prints the responses, then the floods and prints
// the memory of the server. It exits with 1 if a response is unexpected, or if the memory exceeds its bound. Without
// -url it builds the server of the current folder and runs it with production settings on temporary databases.
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

// After the attacks, the server may use idleCPU during idleFor.
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
	flag.StringVar(&o.url, "url", "", "send the attacks, without the floods, to this endpoint")
	pid := flag.Int("pid", 0, "measure the CPU time of this process, which serves -url on this machine")
	flag.IntVar(&o.tries, "tries", 5, "number of tries of each attack; the table shows medians")
	flag.StringVar(&o.binary, "binary", "", "run this server instead of building one")
	flood := flag.String("flood", "", "send only the floods whose names match this regular expression")
	flag.IntVar(&o.bound, "bound", 256, "maximum resident memory during a flood, in MiB")
	flag.Parse()
	o.server = process(*pid)
	if *flood != "" {
		o.flood = regexp.MustCompile(*flood)
	}
	log.SetOutput(io.Discard) // net/http logs unsolicited responses
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	if o.url != "" {
		return report(ctx, o.url, o.server, o.tries, out)
	}
	ok = true
	err = replica.InFolder(func(folder string) error {
		if o.binary == "" {
			if o.binary, err = replica.Build(ctx, folder); err != nil {
				return err
			}
		}
		if o.flood == nil {
			err := serve(o.binary, os.Stderr, nil, func(s *replica.Server) (err error) {
				ok, err = report(ctx, s.URL, process(s.PID), o.tries, out)
				return err
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(out)
		}
		bounded, err := floods(ctx, o, out)
		ok = ok && bounded
		return err
	})
	return ok, err
}

// serve runs the server with production settings on a temporary database, and calls f with it.
func serve(binary string, stderr io.Writer, settings []string, f func(*replica.Server) error) error {
	return replica.InFolder(func(folder string) error {
		s, err := replica.Start(binary, stderr, append([]string{
			"--production",
			"--public-url=https://localhost",
			"--log-level=error",
			"--secret=" + rand.Text() + rand.Text(),
			"--database=sqlite:" + filepath.Join(folder, "abuse.db"),
		}, settings...)...)
		if err != nil {
			return err
		}
		return errors.Join(f(s), s.Stop())
	})
}

// report sends the attacks, and prints their table and the use of memory and CPU. It reports whether all was as
// expected.
func report(ctx context.Context, url string, server process, tries int, out io.Writer) (ok bool, err error) {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| attack\t| answer\t| bytes\t| ms\t| CPU ms\t| problem\t|")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	ok = true
	for _, a := range attack.All() {
		r, err := measure(ctx, a, url, server, max(1, tries))
		if err != nil {
			return false, err
		}
		ok = ok && len(r.problems) == 0
		fmt.Fprintf(table, "| %s\t| %s\t| %d\t| %s\t| %s\t| %s\t|\n",
			a.Name, r.outcome.Verdict(), r.outcome.Bytes, milliseconds(median(r.took)), r.usage(), first(r.problems))
	}
	if err := table.Flush(); err != nil {
		return false, err
	}
	if server == 0 {
		return ok, nil
	}
	idle, err := server.rest(idleFor)
	if err != nil {
		return false, err
	}
	peak, err := server.memory("VmHWM")
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "\nPeak memory: %d MiB. CPU time in the %s after the last attack: %s ms.\n",
		peak, idleFor, milliseconds(idle))
	if idle > idleCPU {
		fmt.Fprintln(out, "The server is still busy after the attacks.")
	}
	return ok && idle <= idleCPU, nil
}

// result combines the tries of one attack: the last outcome, and all problems.
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
