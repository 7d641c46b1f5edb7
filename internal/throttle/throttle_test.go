package throttle_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var rates = throttle.Rates{
	throttle.LoginPair:       {Burst: 3, Per: 15 * time.Minute},
	throttle.LoginAccount:    {Burst: 5, Per: 15 * time.Minute},
	throttle.LoginAddress:    {Burst: 8, Per: 15 * time.Minute},
	throttle.RegisterAddress: {Burst: 2, Per: time.Hour},
	throttle.Register:        {Burst: 4, Per: time.Hour},
	throttle.Refresh:         {Burst: 2, Per: time.Minute},
	throttle.OwnActs:         {Burst: 2, Per: time.Hour},
	throttle.RefreshInvalid:  {Burst: 2, Per: time.Minute},
	throttle.VerifyInvalid:   {Burst: 3, Per: time.Minute},
}

func start(t *testing.T, db *store.DB, rates throttle.Rates) *throttle.Throttle {
	t.Helper()
	s, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		t.Fatal(err)
	}
	return throttle.New(db, s, rates, time.Now)
}

// allowed returns how many of n attempts pass. The others must be RATE_LIMITED, with a wait of at most longest.
func allowed(t *testing.T, n int, longest time.Duration, attempt func(i int) error) (passed int) {
	t.Helper()
	for i := range n {
		err := attempt(i)
		f := fault.As(err)
		switch {
		case err == nil:
			passed++
		case f == nil || f.Code != fault.RateLimited:
			t.Fatalf("attempt %d: %v", i, err)
		case f.RetryAfter <= 0 || f.RetryAfter > longest:
			t.Fatalf("attempt %d: wait %s", i, f.RetryAfter)
		}
	}
	return passed
}

// pass moves all times in the database back by d, as if d had passed.
func pass(t *testing.T, db *store.DB, d time.Duration) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec("UPDATE known_addresses SET seen_at = seen_at - $1", d.Microseconds()); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE throttle SET empty = empty - $1", d.Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newUser(t *testing.T, db *store.DB) token.UserID {
	t.Helper()
	id := fmt.Sprintf("user-%d", time.Now().UnixNano())
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO users
			(id, email, email_key, email_verified, name, roles, version, created_at, updated_at)
			VALUES ($1, $1, $1, FALSE, '', '', 1, 0, 0)`, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token.UserID(id)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	t.Run("bounds one account from one address", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			login := func(int) error { return th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: "192.0.2.1"}) }
			if n := allowed(t, 10, 5*time.Minute, login); n != 3 {
				t.Errorf("%d attempts passed, want 3", n)
			}
			pass(t, db, 5*time.Minute+time.Second)
			if n := allowed(t, 3, 5*time.Minute, login); n != 1 {
				t.Errorf("after one interval %d passed, want 1", n)
			}
			pass(t, db, time.Hour)
			if n := allowed(t, 10, 5*time.Minute, login); n != 3 {
				t.Errorf("after an hour %d passed, want 3", n)
			}
		})
	})
	t.Run("bounds one account from all unknown addresses together", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			n := allowed(t, 20, 15*time.Minute, func(i int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: fmt.Sprintf("192.0.2.%d", i)})
			})
			if n != 5 {
				t.Errorf("%d attempts passed, want 5", n)
			}
		})
	})
	t.Run("bounds one address over all accounts", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			n := allowed(t, 20, 15*time.Minute, func(i int) error {
				// One customer has a whole /64.
				ip := []string{fmt.Sprintf("2001:db8::%x", i), fmt.Sprintf("2001:db8::1:%x", i)}[i%2]
				return th.Login(t.Context(), throttle.Attempt{Name: fmt.Sprint("user", i), IP: ip})
			})
			if n != 8 {
				t.Errorf("%d attempts passed, want 8", n)
			}
			n = allowed(t, 20, 15*time.Minute, func(i int) error {
				ip := []string{"192.0.2.7", "::ffff:192.0.2.7"}[i%2]
				return th.Login(t.Context(), throttle.Attempt{Name: fmt.Sprint("user", i), IP: ip})
			})
			if n != 8 {
				t.Errorf("%d attempts from one IPv4 address passed, want 8", n)
			}
		})
	})
	t.Run("does not let others lock out a user from a known address", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			user := newUser(t, db)
			succeed(t, db, th, user, "198.51.100.1")
			allowed(t, 20, 15*time.Minute, func(i int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: string(user), User: user, IP: fmt.Sprintf("192.0.2.%d", i)})
			})
			home := throttle.Attempt{Name: string(user), User: user, IP: "198.51.100.1"}
			if err := th.Login(t.Context(), home); err != nil {
				t.Errorf("a known address: %v", err)
			}
			away := throttle.Attempt{Name: string(user), User: user, IP: "203.0.113.9"}
			if err := th.Login(t.Context(), away); !fault.Is(err, fault.TooManyAttempts) {
				t.Errorf("an unknown address: %v", err)
			}
			pass(t, db, 91*24*time.Hour)
			allowed(t, 20, 15*time.Minute, func(i int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: string(user), User: user, IP: fmt.Sprintf("192.0.2.%d", i)})
			})
			if err := th.Login(t.Context(), home); !fault.Is(err, fault.TooManyAttempts) {
				t.Errorf("an address not used for 91 days: %v", err)
			}
		})
	})
	t.Run("resets the account's count at success but not the address's", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			user := newUser(t, db)
			attempt := func(int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: string(user), User: user, IP: "192.0.2.1"})
			}
			total := 0
			for range 5 {
				total += allowed(t, 3, 15*time.Minute, attempt)
				succeed(t, db, th, user, "192.0.2.1")
			}
			if total != 8 {
				t.Errorf("%d attempts passed, want the address's 8", total)
			}
		})
	})
	t.Run("lets no more through concurrently than a bucket holds", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			var passed atomic.Int64
			var group sync.WaitGroup
			for range 60 {
				group.Go(func() {
					err := th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: "192.0.2.1"})
					if err == nil {
						passed.Add(1)
					} else if !fault.Is(err, fault.TooManyAttempts) {
						t.Errorf("unexpected: %v", err)
					}
				})
			}
			group.Wait()
			if passed.Load() != 3 {
				t.Errorf("%d passed, want 3", passed.Load())
			}
		})
	})
	t.Run("does not count refused attempts", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			th := start(t, db, rates)
			allowed(t, 50, 15*time.Minute, func(int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: "192.0.2.1"})
			})
			n := allowed(t, 50, 15*time.Minute, func(i int) error {
				return th.Login(t.Context(), throttle.Attempt{Name: fmt.Sprint("other", i), IP: "192.0.2.1"})
			})
			if n != 5 { // the address's 8, minus the pair's 3
				t.Errorf("%d attempts on other accounts passed, want 5", n)
			}
		})
	})
}

func succeed(t *testing.T, db *store.DB, th *throttle.Throttle, user token.UserID, ip string) {
	t.Helper()
	if err := db.Tx(t.Context(), func(tx *store.Tx) error {
		return th.Succeeded(tx, throttle.Attempt{Name: string(user), User: user, IP: ip})
	}); err != nil {
		t.Fatal(err)
	}
}

// A registration has no attempts on a name that could be cleared.
func TestARegistrationOnlyRemembersItsAddress(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, rates)
		attempt := throttle.Attempt{User: newUser(t, db), IP: "192.0.2.1"}
		before := db.Statements()
		if err := db.Tx(t.Context(), func(tx *store.Tx) error { return th.Succeeded(tx, attempt) }); err != nil {
			t.Fatal(err)
		}
		if n := db.Statements() - before; n != 1 {
			t.Errorf("%d statements, want only the one that remembers the address", n)
		}
	})
}

func TestOtherBuckets(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, rates)
		if n := allowed(t, 9, time.Hour, func(int) error { return th.Register(t.Context(), "192.0.2.1") }); n != 2 {
			t.Errorf("%d registrations from one address, want 2", n)
		}
		elsewhere := func(i int) error { return th.Register(t.Context(), fmt.Sprintf("192.0.2.%d", 10+i)) }
		if n := allowed(t, 9, time.Hour, elsewhere); n != 2 {
			t.Errorf("%d more registrations from all addresses, want 2", n)
		}
		refresh := func(int) error { return th.Take(t.Context(), throttle.Refresh, "session") }
		if n := allowed(t, 9, time.Minute, refresh); n != 2 {
			t.Errorf("%d refreshes of one session, want 2", n)
		}
		for _, kind := range []string{"profile", "password"} {
			own := func(int) error { return th.Take(t.Context(), throttle.OwnActs, kind, "user") }
			if n := allowed(t, 9, time.Hour, own); n != 2 {
				t.Errorf("%d changes of the user's %s, want 2", n, kind)
			}
		}
	})
}

// If the database's clock is set back, filled buckets lie far in the future. No wait is longer than that for a full
// bucket. One attempt per bucket passes and makes it full.
func TestWaitsAreBoundedWhenTheClockGoesBack(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, rates)
		refresh := func(int) error { return th.Take(t.Context(), throttle.Refresh, "session") }
		login := func(int) error { return th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: "192.0.2.1"}) }
		for _, back := range []time.Duration{2 * time.Hour, 20 * time.Minute, 365 * 24 * time.Hour} {
			allowed(t, 9, 30*time.Second, refresh)
			allowed(t, 9, 5*time.Minute, login)
			pass(t, db, -back)
			if n := allowed(t, 9, 30*time.Second, refresh); n != 1 {
				t.Errorf("%s back: %d refreshes passed, want 1", back, n)
			}
			if n := allowed(t, 9, 5*time.Minute, login); n != 1 {
				t.Errorf("%s back: %d logins passed, want 1", back, n)
			}
			pass(t, db, 5*time.Minute+time.Second)
			if n := allowed(t, 1, 5*time.Minute, login); n != 1 {
				t.Errorf("%s back: the next attempt did not pass after its interval", back)
			}
			pass(t, db, time.Hour)
		}
	})
}

// Invalid tokens are counted without the database, by the monotonic clock, and in bounded memory.
func TestForgeriesAreCountedInMemory(t *testing.T) {
	t.Parallel()
	s, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	th := throttle.New(nil, s, rates, func() time.Time { return now })
	for bucket, want := range map[throttle.Bucket]int{throttle.RefreshInvalid: 2, throttle.VerifyInvalid: 3} {
		take := func(ip string) error { return th.TakeLocal(bucket, web.Network(ip)) }
		same := func(int) error { return take("192.0.2.1") }
		network := func(i int) error { return take(fmt.Sprintf("2001:db8::%x", i)) }
		networks := func(i int) error { return take(fmt.Sprintf("2001:db8:1:%x::1", i)) }
		for _, attempt := range []func(int) error{same, network} {
			if n := allowed(t, 9, time.Minute, attempt); n != want {
				t.Errorf("%s: %d from one address passed, want %d", bucket, n, want)
			}
		}
		now = now.Add(time.Minute / time.Duration(want))
		if n := allowed(t, 9, time.Minute, same); n != 1 {
			t.Errorf("%s: after one interval %d passed, want 1", bucket, n)
		}
		if n := allowed(t, 3*throttle.MaxLocal/2, time.Minute, networks); n != 3*throttle.MaxLocal/2 {
			t.Errorf("%s: %d addresses passed", bucket, n)
		}
	}
	if n := th.Local(); n > throttle.MaxLocal {
		t.Errorf("%d buckets in memory, want %d at most", n, throttle.MaxLocal)
	}
}

func TestPruneKeepsFilledBuckets(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, rates)
		login := func(int) error { return th.Login(t.Context(), throttle.Attempt{Name: "ada", IP: "192.0.2.1"}) }
		allowed(t, 5, 15*time.Minute, login)
		count := func() (n int) {
			if err := db.Get(t.Context(), &n, "SELECT count(*) FROM throttle"); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := th.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d buckets after a prune, want all 3", n)
		}
		pass(t, db, time.Hour)
		if err := th.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 0 {
			t.Errorf("%d empty buckets left", n)
		}
	})
}

func TestABucketWithoutARateIsAnError(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, throttle.Rates{})
		if err := th.Take(t.Context(), throttle.Refresh, "session"); err == nil || fault.As(err) != nil {
			t.Errorf("Take: %v", err)
		}
		if err := th.TakeLocal(throttle.VerifyInvalid, "192.0.2.1"); err == nil || fault.As(err) != nil {
			t.Errorf("TakeLocal: %v", err)
		}
	})
}
