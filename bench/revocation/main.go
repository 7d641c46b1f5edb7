// Command revocation measures how soon a logout on one replica takes effect on two others. It exits with 1 if that
// takes longer than promised. It needs its own Postgres server:
//
//	go run ./internal/store/storetest/withpostgres go run ./bench/revocation
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

var (
	revocations = flag.Int("revocations", 300, "logouts to measure, with and without notifications")
	cuts        = flag.Int("cuts", 3, "how often to cut a replica off from its database, for each kind of cut")
	load        = flag.Int("load", 300, "requests per second of other sessions, in total on all replicas")
)

// The promised maximums: p99 with notifications, p99 without them, and the time until a replica that is cut off
// refuses.
const (
	notified    = 50 * time.Millisecond
	polled      = time.Second
	unreachable = 5 * time.Second
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "revocation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	raw := os.Getenv(storetest.URLVariable)
	if raw == "" {
		return errors.New(storetest.URLVariable + " is not set to a Postgres URL")
	}
	database, drop, err := replica.NewSchema(ctx, raw)
	if err != nil {
		return err
	}
	defer drop()
	return replica.InFolder(func(folder string) error {
		binary, err := replica.Build(ctx, folder)
		if err != nil {
			return err
		}
		fmt.Printf("time from the response to a logout on A until B and C refuse the token, with %d requests/s\n", *load)
		return errors.Join(
			lags(ctx, "LISTEN/NOTIFY", notified, binary, database),
			lags(ctx, "polling only (B and C with --database-pooler)", polled, binary, database, "--database-pooler"),
			cutOff(ctx, binary, database))
	})
}

// lags measures the time until B and C refuse a revoked token. args are additional settings of B and C.
func lags(ctx context.Context, name string, promise time.Duration, binary, database string, args ...string) error {
	r, err := start(binary, []string{database, database, database}, args...)
	if err != nil {
		return err
	}
	defer r.stop()
	stopLoad, err := r.load(ctx, *load)
	if err != nil {
		return err
	}
	var all []time.Duration
	for range *revocations {
		two, err := r.revoke(ctx)
		if err != nil {
			return errors.Join(err, stopLoad())
		}
		all = append(all, two...)
	}
	if err := stopLoad(); err != nil {
		return err
	}
	slices.Sort(all)
	at := func(percent int) time.Duration {
		return all[(len(all)-1)*percent/100].Round(100 * time.Microsecond)
	}
	fmt.Printf("%-46s p50 %v, p99 %v, max %v of %d logouts on 2 replicas; promised: p99 %v\n",
		name, at(50), at(99), at(100), *revocations, promise)
	if at(99) > promise {
		return fmt.Errorf("%s: the promise is broken", name)
	}
	return nil
}

// cutOff measures how long B accepts a token after losing its database.
func cutOff(ctx context.Context, binary, database string) error {
	u, err := url.Parse(database)
	if err != nil {
		return err
	}
	proxy, err := replica.NewProxy(u.Host)
	if err != nil {
		return err
	}
	defer proxy.Close()
	direct := u.String()
	u.Host = proxy.Address()
	r, err := start(binary, []string{direct, u.String()})
	if err != nil {
		return err
	}
	defer r.stop()
	var problems []error
	for _, kind := range []struct {
		name   string
		silent bool
	}{{"B's database connections closed", false}, {"B's database silent", true}} {
		var worst time.Duration
		for range *cuts {
			lag, err := r.revokeWhileCut(ctx, proxy, kind.silent)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", kind.name, err))
				continue
			}
			worst = max(worst, lag)
		}
		fmt.Printf("%-46s max %v of %d cuts, then refused until mended; promised: %v\n",
			kind.name, worst.Round(time.Millisecond), *cuts, unreachable)
		if worst > unreachable+slack {
			problems = append(problems, fmt.Errorf("%s: the promise is broken", kind.name))
		}
	}
	return errors.Join(problems...)
}

// slack is the time that one request may take on a busy machine.
const slack = 100 * time.Millisecond
