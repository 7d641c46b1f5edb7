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

// askEvery is the interval of a signed-in user's requests during a flood.
const askEvery = 20 * time.Millisecond

// floods sends the floods, each to a new server, and prints their table. It reports whether there was no problem.
func floods(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	fmt.Fprintln(
		out, "| flood | sent | answers | MiB before | peak MiB | p50 and p99 of `me`, ms | `me` refused | problem |",
	)
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	ok = true
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
		ok = ok && problem == ""
		slices.Sort(r.took)
		p50, p99 := milliseconds(r.took[len(r.took)/2]), milliseconds(r.took[len(r.took)*99/100])
		fmt.Fprintf(out, "| %s | %d | %s | %d | %d | %s, %s | %d of %d | %s |\n",
			f.Name, r.target.Requests(), r.target.Verdicts(), r.before, r.peak, p50, p99, r.refused, len(r.took), problem)
	}
	return ok, nil
}

// flooded is the result of a flood.
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
		return "an internal error"
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

// ask sends requests of a signed-in user until ctx ends.
func (r *flooded) ask(ctx context.Context, client *replica.Client, token string) {
	for ctx.Err() == nil {
		start := time.Now()
		answer, err := client.Me(ctx, token)
		if ctx.Err() != nil && len(r.took) > 0 {
			return // the end of ctx canceled the request
		}
		r.took = append(r.took, time.Since(start))
		if err != nil || len(answer.Errors) > 0 {
			r.refused++
		}
		time.Sleep(askEvery)
	}
}
