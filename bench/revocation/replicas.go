package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/bench/replica"
)

// owner is the user whose sessions end. The load comes from other users.
const owner = "owner@example.com"

// replicas are servers on one database, called A, B and C.
type replicas struct {
	servers []*replica.Server
	clients []*replica.Client
}

// start starts a server on each database. args are additional settings of all but the first.
func start(binary string, databases []string, args ...string) (*replicas, error) {
	r := &replicas{}
	for i, database := range databases {
		all := append(replica.Unlimited(),
			"--database="+database,
			"--secret=a secret for benchmarks, of more than 32 bytes",
			"--public-url=http://bench.example",
		)
		if i > 0 {
			all = append(all, args...)
		}
		s, err := replica.Start(binary, io.Discard, all...)
		if err != nil {
			r.stop()
			return nil, err
		}
		r.servers, r.clients = append(r.servers, s), append(r.clients, replica.NewClient(s.URL))
	}
	return r, nil
}

func (r *replicas) stop() {
	for i, s := range r.servers {
		r.clients[i].Close()
		if err := s.Stop(); err != nil {
			fmt.Println("stop:", err)
		}
	}
}

// session opens a session of owner. It registers owner at the first call.
func (r *replicas) session(ctx context.Context) (token string, err error) {
	if token, err = r.clients[0].Login(ctx, owner); err == nil {
		return token, nil
	}
	return r.clients[0].Register(ctx, owner)
}

// load sends rate requests per second, distributed over the replicas, until stop. stop returns an error if one of the
// requests was refused.
func (r *replicas) load(ctx context.Context, rate int) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	interval := time.Second * time.Duration(len(r.servers)) / time.Duration(rate)
	for i, s := range r.servers {
		token, err := r.clients[0].Register(ctx, fmt.Sprintf("load%d-%d@example.com", i, time.Now().UnixNano()))
		if err != nil {
			cancel()
			return nil, errors.Join(err, group.Wait())
		}
		client := replica.NewClient(s.URL)
		group.Go(func() error {
			defer client.Close()
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				a, err := client.Me(ctx, token)
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return err
				}
				if reason := a.Reason(); reason != "" {
					return fmt.Errorf("a live session is refused: %s", reason)
				}
			}
		})
	}
	return func() error {
		cancel()
		return group.Wait()
	}, nil
}

// askEvery is the pause between two requests with one token. Without it, the requests would saturate a small machine
// and distort the measurement.
const askEvery = time.Millisecond

// revoke ends a new session on A, and returns how long B and C still accepted its token.
func (r *replicas) revoke(ctx context.Context) ([]time.Duration, error) {
	token, err := r.session(ctx)
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	var accepted sync.WaitGroup
	refused := make([]time.Time, len(r.clients)-1)
	for i, client := range r.clients[1:] {
		accepted.Add(1)
		first := sync.OnceFunc(accepted.Done)
		group.Go(func() error {
			defer first()
			for {
				a, err := client.Me(ctx, token)
				if err != nil {
					return err
				}
				switch reason := a.Reason(); reason {
				case "":
					first()
					time.Sleep(askEvery)
				case "TOKEN_REVOKED":
					refused[i] = time.Now()
					return nil
				default:
					return fmt.Errorf("a revoked token is refused with %s", reason)
				}
			}
		})
	}
	accepted.Wait()
	// Wait for a random time, because the end of the previous revocation is synchronized with the polls.
	time.Sleep(mathrand.N(400 * time.Millisecond))
	if err := r.clients[0].Logout(ctx, token, "CURRENT"); err != nil {
		return nil, errors.Join(err, group.Wait())
	}
	ended := time.Now()
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var lags []time.Duration
	for _, at := range refused {
		lags = append(lags, max(0, at.Sub(ended)))
	}
	return lags, nil
}

// watchAfter is how long a replica must keep refusing after its first refusal.
const watchAfter = 3 * time.Second

// revokeWhileCut cuts B off, ends a new session on A, and returns how long B still reported its token as active. It
// uses verifyToken, which needs no database; me would fail immediately.
func (r *replicas) revokeWhileCut(ctx context.Context, proxy *replica.Proxy, silent bool) (time.Duration, error) {
	token, err := r.session(ctx)
	if err != nil {
		return 0, err
	}
	if err := r.until(ctx, token, `{"verifyToken":{"active":true}}`); err != nil {
		return 0, err
	}
	proxy.Cut(silent)
	if err := r.clients[0].Logout(ctx, token, "CURRENT"); err != nil {
		return 0, err
	}
	ended := time.Now()
	var first time.Time
	for first.IsZero() || time.Since(first) < watchAfter {
		a, err := r.ask(ctx, token)
		if err != nil {
			return 0, err
		}
		switch accepts := string(a.Data) == `{"verifyToken":{"active":true}}`; {
		case accepts && !first.IsZero():
			return 0, errors.New("the token is accepted again after a refusal")
		case accepts:
		case a.Reason() != "REVOCATION_VIEW_STALE":
			return 0, fmt.Errorf("refused with %s", a.Reason())
		case first.IsZero():
			first = time.Now()
		}
	}
	proxy.Mend()
	return first.Sub(ended), r.until(ctx, token, `{"verifyToken":{"active":false}}`)
}

func (r *replicas) ask(ctx context.Context, token string) (*replica.Answer, error) {
	const query = `query($token: String!) { verifyToken(token: $token) { active } }`
	return r.clients[1].Do(ctx, "", query, map[string]any{"token": token})
}

// until queries B about token until the answer is want.
func (r *replicas) until(ctx context.Context, token, want string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		a, err := r.ask(ctx, token)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", want, err)
		}
		if string(a.Data) == want {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}
