package app_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestUpkeepIsDoneByOneReplicaAtATime(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		a, b := apptest.Start(t, apptest.Database(url)), apptest.Start(t, apptest.Database(url))
		var working, done atomic.Int64
		work := func(ctx context.Context) error {
			if working.Add(1) > 1 {
				return errors.New("two work at once")
			}
			defer working.Add(-1)
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute {
				return errors.New("the work may outlast its lease")
			}
			done.Add(1)
			return nil
		}
		for round := range int64(3) {
			var group errgroup.Group
			for range 4 {
				for _, srv := range []*apptest.Server{a, b} {
					group.Go(func() error { return srv.App.Alone("work", work)(t.Context()) })
				}
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			if n := done.Load(); n != round+1 {
				t.Fatalf("done %d times in %d lives of the lease", n, round+1)
			}
			err := a.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE leases SET until = now_us()")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
