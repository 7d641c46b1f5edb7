package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graphwarden/graphwarden/bench/attack"
	"github.com/graphwarden/graphwarden/bench/replica"
)

// askEvery is how often a signed-in user asks who they are while a flood is under way.
const askEvery = 20 * time.Millisecond

// floods sends every flood whose name contains only to a server of its own, and reports whether all stayed below the
// bound, in MiB.
func floods(ctx context.Context, binary, only string, bound int, out io.Writer) (inOrder bool, err error) {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| flood\t| sent\t| answers\t| MiB before\t| peak MiB\t| p50, p99 of me, ms\t| refused\t| out of order\t|")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	inOrder = true
	for _, f := range attack.Floods() {
		if !strings.Contains(f.Name, only) {
			continue
		}
		r, err := flood(ctx, binary, f)
		if err != nil {
			return false, err
		}
		problem := ""
		switch {
		case r.peak > bound:
			problem = fmt.Sprintf("above %d MiB", bound)
		case r.target.Failed() > 0:
			problem = "a failure of the server"
		}
		inOrder = inOrder && problem == ""
		slices.Sort(r.took)
		fmt.Fprintf(table, "| %s\t| %d\t| %s\t| %d\t| %d\t| %s, %s\t| %d of %d\t| %s\t|\n", f.Name, r.target.Requests(), r.target.Verdicts(), r.before, r.peak,
			milliseconds(r.took[len(r.took)/2]), milliseconds(r.took[len(r.took)*99/100]), r.refused, len(r.took), problem)
		if err := table.Flush(); err != nil {
			return false, err
		}
	}
	return inOrder, nil
}

// flooded is what a server was like under a flood.
type flooded struct {
	target       *attack.Target
	before, peak int // resident memory in MiB
	took         []time.Duration
	refused      int
}

func flood(ctx context.Context, binary string, f attack.Flood) (r flooded, err error) {
	err = replica.InFolder(func(folder string) error {
		own := filepath.Join(folder, "graphwarden")
		if err := os.Link(binary, own); err != nil {
			if err := copyFile(binary, own); err != nil {
				return err
			}
		}
		s, err := replica.Start(own, io.Discard, append([]string{"--production", "--public-url=https://localhost", "--secret=" + rand.Text() + rand.Text(), "--log-level=error"}, f.Settings...)...)
		if err != nil {
			return err
		}
		err = r.measure(ctx, s, f)
		_ = s.Stop()
		return err
	})
	return r, err
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o700)
}

func (r *flooded) measure(ctx context.Context, s *replica.Server, f attack.Flood) error {
	client := replica.NewClient(s.URL)
	defer client.Close()
	const email = "owner@example.com"
	token, err := client.Register(ctx, email)
	if err != nil {
		return err
	}
	server := process(s.PID)
	if r.before, err = server.memory("VmRSS"); err != nil {
		return err
	}
	asked, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ask(asked, client, token)
	}()
	r.target = &attack.Target{URL: s.URL, Token: token, Email: email}
	err = f.Run(ctx, r.target)
	stop()
	<-done
	if r.peak, err = server.memoryAfter(err); err != nil {
		return err
	}
	if len(r.took) == 0 {
		return errors.New("me was never asked")
	}
	return nil
}

// ask has a signed-in user ask who they are until ctx ends.
func (r *flooded) ask(ctx context.Context, client *replica.Client, token string) {
	for ctx.Err() == nil {
		start := time.Now()
		answer, err := client.Me(ctx, token)
		if ctx.Err() != nil && len(r.took) > 0 {
			return
		}
		r.took = append(r.took, time.Since(start))
		if err != nil || len(answer.Errors) > 0 {
			r.refused++
		}
		time.Sleep(askEvery)
	}
}
