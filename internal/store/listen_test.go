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

// soon bounds every wait for a notification; most take about a millisecond.
const soon = 20 * time.Second

const topic = "topic"

// listen runs Listen until the end of the test.
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

// notify commits a transaction that only notifies.
func notify(t *testing.T, db *store.DB, topic string) {
	t.Helper()
	if err := db.Tx(t.Context(), func(tx *store.Tx) error { return tx.Notify(topic) }); err != nil {
		t.Fatal(err)
	}
}

// follow returns a channel that receives after notifications of topic.
func follow(t *testing.T, db *store.DB, topic string) <-chan struct{} {
	t.Helper()
	wake, stop := db.Wake(topic)
	t.Cleanup(stop)
	return wake
}

func await(t *testing.T, event string, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(soon):
		t.Fatalf("%s does not arrive", event)
	}
}

// settle notifies until a notification arrives at wake, so that the listener is known to work.
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

func TestFollowersAreNotifiedAfterTheCommit(t *testing.T) {
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
			t.Errorf("%v, notified %d times after a rollback", err, told)
		}
		err = db.Tx(t.Context(), func(tx *store.Tx) error {
			defer func() {
				if told != 0 {
					t.Error("notified before the commit")
				}
			}()
			return tx.Notify(topic)
		})
		if err != nil || told != 1 || other != 0 {
			t.Errorf("%v, notified %d times, and %d times of another topic", err, told, other)
		}
		stop()
		notify(t, db, topic)
		if told != 1 {
			t.Error("notified after stop")
		}
	})
}

func TestWakeMergesNotifications(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+t.TempDir()+"/x.db")
	wake := follow(t, db, topic)
	for range 3 {
		notify(t, db, topic)
	}
	await(t, "the merged notification", wake)
	select {
	case <-wake:
		t.Error("more than one notification arrives")
	default:
	}
}

func TestNotificationsReachOtherReplicas(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		a, b := storetest.Open(t, url), storetest.Open(t, url)
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the initial notification", wake)
		for range 3 {
			notify(t, a, topic)
			await(t, "a notification", wake)
		}
	})
}

func TestNotificationsStayInTheirSchema(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	onPostgresURL(t, func(t *testing.T, url string) {
		onPostgresURL(t, func(t *testing.T, elsewhere string) {
			a, b := storetest.Open(t, url), storetest.Open(t, url)
			stranger := storetest.Open(t, elsewhere)
			wake := follow(t, b, topic)
			listen(t, b)
			await(t, "the initial notification", wake)
			defer b.OnNotify(topic, func() { heard.Add(1) })()
			notify(t, stranger, topic)
			notify(t, a, topic) // arrives after the stranger's
			await(t, "a notification", wake)
			if n := heard.Load(); n != 1 {
				t.Errorf("%d notifications, want only that of its own schema", n)
			}
		})
	})
}

func TestAKilledListenerReconnects(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		a := storetest.Open(t, raw)
		b := storetest.Open(t, named(t, raw, t.Name()))
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the initial notification", wake)
		notify(t, a, topic)
		await(t, "a notification", wake)
		var killed bool
		const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = $1 AND query LIKE 'LISTEN%'`
		err := a.Get(t.Context(), &killed, kill, t.Name())
		if err != nil || !killed {
			t.Fatal("no listener to kill:", err)
		}
		await(t, "the notification after the reconnect", wake)
		settle(t, a, wake)
	})
}

// named returns the URL with an application_name, to find its connections in pg_stat_activity.
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

// A firewall that forgot a connection drops its data without closing either end.
func TestASilentListenerIsReplaced(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		wall := storetest.StartFirewall(t, raw)
		a, b := storetest.Open(t, raw), storetest.Open(t, wall.URL)
		b.PingEvery(20*time.Millisecond, 200*time.Millisecond)
		wake := follow(t, b, topic)
		listen(t, b)
		await(t, "the initial notification", wake)
		settle(t, a, wake)
		wall.Forget()
		settle(t, a, wake)
	})
}

func TestPooledServersNotifyButDoNotListen(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		pooled, err := store.Open(t.Context(), store.Options{URL: url, Pooler: true})
		if err != nil {
			t.Fatal(err)
		}
		defer pooled.Close()
		pooled.Listen(t.Context(), slog.New(slog.DiscardHandler)) // must return immediately
		here, there := follow(t, pooled, topic), storetest.Open(t, url)
		wake := follow(t, there, topic)
		listen(t, there)
		await(t, "the initial notification", wake)
		notify(t, pooled, topic)
		await(t, "the local notification", here)
		await(t, "the notification of the other replica", wake)
	})
}

// Engines that speak the Postgres protocol without NOTIFY reject the function. The search_path names pg_catalog, which
// would otherwise come first.
func TestAnEngineWithoutNotifyStillCommits(t *testing.T) {
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
		db.Listen(t.Context(), slog.New(slog.DiscardHandler)) // must return immediately
		notify(t, db, topic)
		await(t, "the local notification", wake)
	})
}

// A listening connection keeps a serverless database awake, and reconnecting wakes it again.
func TestListenPausesWithoutRequests(t *testing.T) {
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
		await(t, "the initial notification", wake)
		settle(t, a, wake)
		offset.Store(int64(2 * time.Minute))
		for deadline := time.Now().Add(soon); ; {
			n := count(t, a, `SELECT count(*) FROM pg_stat_activity
				WHERE application_name = $1 AND (query = '' OR query LIKE 'LISTEN%')`, t.Name())
			if n == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the server still listens")
			}
		}
		defer b.Request()()
		settle(t, a, wake)
	})
}
