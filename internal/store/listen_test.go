package store_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// soon bounds every wait for a notification; most take a millisecond.
const soon = 20 * time.Second

const topic = "a topic"

// listen has db listen until the test ends.
func listen(t *testing.T, db *store.DB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var listening sync.WaitGroup
	listening.Go(func() { db.Listen(ctx, slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
}

// notify commits a transaction that does nothing but notify.
func notify(t *testing.T, db *store.DB, topic string) {
	t.Helper()
	if err := db.Tx(t.Context(), func(tx *store.Tx) error { return tx.Notify(topic) }); err != nil {
		t.Fatal(err)
	}
}

// follow returns a channel that has something once topic was notified.
func follow(t *testing.T, db *store.DB, topic string) <-chan struct{} {
	t.Helper()
	wake, stop := db.Wake(topic)
	t.Cleanup(stop)
	return wake
}

func await(t *testing.T, what string, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(soon):
		t.Fatalf("waited in vain for %s", what)
	}
}

// settle notifies until what is told elsewhere arrives at wake, and drains it: the listener is at work.
func settle(t *testing.T, from *store.DB, wake <-chan struct{}) {
	t.Helper()
	deadline := time.After(soon)
	for {
		notify(t, from, topic)
		select {
		case <-wake:
			return
		case <-deadline:
			t.Fatal("notifications do not arrive")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func onPostgresURL(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		if strings.HasPrefix(url, "postgres:") {
			f(t, url)
		}
	})
}

func TestFollowersAreToldOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		var told, other int
		stop := db.OnNotify(topic, func() { told++ })
		defer db.OnNotify("another topic", func() { other++ })()
		rolledBack := errors.New("rolled back")
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			if err := tx.Notify(topic); err != nil {
				return err
			}
			return rolledBack
		})
		if !errors.Is(err, rolledBack) || told != 0 {
			t.Errorf("%v, told %d times of what was rolled back", err, told)
		}
		err = db.Tx(t.Context(), func(tx *store.Tx) error {
			defer func() {
				if told != 0 {
					t.Error("told before the commit")
				}
			}()
			return tx.Notify(topic)
		})
		if err != nil || told != 1 || other != 0 {
			t.Errorf("%v, told %d times, and %d times of another topic", err, told, other)
		}
		stop()
		notify(t, db, topic)
		if told != 1 {
			t.Error("told after stop")
		}
	})
}

func TestWakeHoldsOneOfMany(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+t.TempDir()+"/x.db")
	wake := follow(t, db, topic)
	for range 3 {
		notify(t, db, topic)
	}
	await(t, "the first", wake)
	select {
	case <-wake:
		t.Error("it wakes again for nothing")
	default:
	}
}

func TestNotificationsReachOtherReplicas(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		a, b := storetest.Open(t, url), storetest.Open(t, url)
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "what may have come before it listened", wake)
		for range 3 {
			notify(t, a, topic)
			await(t, "a notification", wake)
		}
	})
}

func TestSchemasOfOneDatabaseDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	onPostgresURL(t, func(t *testing.T, url string) {
		onPostgresURL(t, func(t *testing.T, elsewhere string) {
			a, b := storetest.Open(t, url), storetest.Open(t, url)
			stranger := storetest.Open(t, elsewhere)
			wake := follow(t, b, topic)
			listen(t, b)
			await(t, "the start", wake)
			defer b.OnNotify(topic, func() { heard.Add(1) })()
			notify(t, stranger, topic)
			notify(t, a, topic) // it comes after
			await(t, "a notification", wake)
			if n := heard.Load(); n != 1 {
				t.Errorf("heard %d, want its own schema's one", n)
			}
		})
	})
}

func TestAKilledListenerComesBack(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		a := storetest.Open(t, raw)
		b := storetest.Open(t, named(t, raw, t.Name()))
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the start", wake)
		notify(t, a, topic)
		await(t, "a notification", wake)
		var killed bool
		err := a.Get(t.Context(), &killed, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`, t.Name())
		if err != nil || !killed {
			t.Fatal("no listener to kill:", err)
		}
		await(t, "the gap", wake)
		settle(t, a, wake)
	})
}

// named gives the connections of a URL a name of their own in pg_stat_activity.
func named(t *testing.T, raw, name string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// A firewall that forgot a connection drops what is sent on it, and neither end is told.
func TestASilentListenerIsReplaced(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		wall := storetest.StartFirewall(t, raw)
		a, b := storetest.Open(t, raw), storetest.Open(t, wall.URL)
		b.PingEvery(20*time.Millisecond, 200*time.Millisecond)
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the start", wake)
		settle(t, a, wake)
		wall.Forget()
		settle(t, a, wake)
	})
}

func TestThroughAPoolerNobodyListensAndEverybodyNotifies(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		pooled, err := store.Open(t.Context(), store.Options{URL: url, Pooler: true})
		if err != nil {
			t.Fatal(err)
		}
		defer pooled.Close()
		pooled.Listen(t.Context(), slog.New(slog.DiscardHandler)) // or this waits for ever
		here, there := follow(t, pooled, topic), storetest.Open(t, url)
		wake := follow(t, there, topic)
		listen(t, there)
		await(t, "the start", wake)
		notify(t, pooled, topic)
		await(t, "its own", here)
		await(t, "the other's", wake)
	})
}

// Engines that speak Postgres' protocol without NOTIFY refuse the function. pg_catalog comes first
// unless the path names it.
func TestAnEngineWithoutNotifyCommitsAllTheSame(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		run(t, storetest.Open(t, raw), `CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'NOTIFY not supported yet'; END $$`)
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", q.Get("search_path")+",pg_catalog")
		u.RawQuery = q.Encode()
		db := storetest.Open(t, u.String())
		wake := follow(t, db, topic)
		db.Listen(t.Context(), slog.New(slog.DiscardHandler)) // or this waits for ever
		notify(t, db, topic)
		await(t, "its own", wake)
	})
}

// A connection that listens keeps a serverless database awake, and wakes it again when it is cut off.
func TestNothingListensWhileThereAreNoRequests(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		a := storetest.Open(t, raw)
		var offset atomic.Int64
		b, err := store.Open(t.Context(), store.Options{URL: named(t, raw, t.Name()), IdlePoll: time.Hour,
			Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		b.PingEvery(20*time.Millisecond, soon)
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the start", wake)
		settle(t, a, wake)
		offset.Store(int64(2 * time.Minute))
		for deadline := time.Now().Add(soon); ; {
			if count(t, a, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query = ''`, t.Name()) == 0 &&
				count(t, a, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`, t.Name()) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("it still listens")
			}
		}
		defer b.Request()()
		settle(t, a, wake)
	})
}
