package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/graphwarden/graphwarden/bench/attack"
	"github.com/graphwarden/graphwarden/bench/replica"
)

// askEvery is how often a signed-in user asks who they are while a flood is under way.
const askEvery = 20 * time.Millisecond

// floods sends floods, each to a server of its own, and reports whether all stayed below the bound.
func floods(ctx context.Context, o options, out io.Writer) (inOrder bool, err error) {
	fmt.Fprintln(out, "| flood | sent | answers | MiB before | peak MiB | p50 and p99 of `me`, ms | `me` refused | out of order |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	inOrder = true
	for _, f := range attack.Floods() {
		if o.flood != nil && !o.flood.MatchString(f.Name) {
			continue
		}
		var r flooded
		err := serve(o.binary, io.Discard, f.Settings, func(s *replica.Server) error { return r.measure(ctx, s, f) })
		if err != nil {
			return false, err
		}
		problem := r.problem(o.bound)
		inOrder = inOrder && problem == ""
		slices.Sort(r.took)
		fmt.Fprintf(out, "| %s | %d | %s | %d | %d | %s, %s | %d of %d | %s |\n", f.Name, r.target.Requests(), r.target.Verdicts(), r.before, r.peak,
			milliseconds(r.took[len(r.took)/2]), milliseconds(r.took[len(r.took)*99/100]), r.refused, len(r.took), problem)
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

func (r *flooded) problem(bound int) string {
	switch {
	case r.peak > bound:
		return fmt.Sprintf("above %d MiB", bound)
	case r.target.Failed() > 0:
		return "a failure of the server"
	}
	return ""
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
	if err != nil {
		return err
	}
	r.peak, err = server.memory("VmHWM")
	return err
}

// ask has a signed-in user ask who they are until ctx ends.
func (r *flooded) ask(ctx context.Context, client *replica.Client, token string) {
	for ctx.Err() == nil {
		start := time.Now()
		answer, err := client.Me(ctx, token)
		if ctx.Err() != nil && len(r.took) > 0 {
			return // it was cut off
		}
		r.took = append(r.took, time.Since(start))
		if err != nil || len(answer.Errors) > 0 {
			r.refused++
		}
		time.Sleep(askEvery)
	}
}
