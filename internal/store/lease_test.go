package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestALeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		replicas := []*store.DB{storetest.Open(t, url), storetest.Open(t, url), storetest.Open(t, url)}
		take := func(name string) int64 {
			t.Helper()
			var holders atomic.Int64
			var group errgroup.Group
			for i := range 12 {
				group.Go(func() error {
					held, err := replicas[i%len(replicas)].Lease(t.Context(), name, time.Hour)
					if held {
						holders.Add(1)
					}
					return err
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			return holders.Load()
		}
		if n := take("work"); n != 1 {
			t.Errorf("%d replicas hold the lease, want 1", n)
		}
		if n := take("work"); n != 0 {
			t.Errorf("%d replicas hold a lease that another holds", n)
		}
		if n := take("other work"); n != 1 {
			t.Errorf("%d replicas hold the other lease, want 1", n)
		}
		run(t, replicas[0], `UPDATE leases SET until = now_us() - 1 WHERE name = 'work'`)
		if n := take("work"); n != 1 {
			t.Errorf("%d replicas hold the lease after its end, want 1", n)
		}
		run(t, replicas[0], `UPDATE leases SET until = now_us() + 7200000000 WHERE name = 'work'`)
		if n := take("work"); n != 1 {
			t.Errorf("%d replicas hold the lease after the clock was set back, want 1", n)
		}
	})
}
