package account_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	policy "github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// onThree runs f on three servers of one database, the last of whose clocks is 20 s ahead.
func onThree(t *testing.T, f func(t *testing.T, replicas []*apptest.Server)) {
	t.Helper()
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, first *apptest.Server) {
		same := apptest.Database(first.App.Config.Database)
		replicas := []*apptest.Server{first, apptest.Start(t, same), apptest.Start(t, same)}
		replicas[2].Shift(20 * time.Second)
		f(t, replicas)
	})
}

// named returns the name of a user as a server's ByID answers it, empty without such a user.
func named(t *testing.T, srv *apptest.Server, id account.ID) string {
	t.Helper()
	u, err := srv.App.Accounts.ByID(t.Context(), id)
	if fault.Is(err, fault.UserNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return u.Name
}

func poll(t *testing.T, srv *apptest.Server) {
	t.Helper()
	if err := srv.App.View.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, srv *apptest.Server, c *apptest.Client, name string) {
	t.Helper()
	claims, err := srv.App.Verifier.Verify(c.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = srv.App.Accounts.UpdateProfile(t.Context(), account.Profile{Name: &name}, audit.Actor{Claims: *claims})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersAreServedFromMemory(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		c.Do(t, me, nil)
		misses, statements := srv.App.Users.Misses(), srv.App.DB.Statements()
		hits := srv.App.Users.Hits()
		for range 50 {
			c.Do(t, me, nil).Into(t, &struct{}{})
		}
		if got := srv.App.Users.Hits() - hits; got < 45 {
			t.Errorf("%d hits, %d misses; want at least 45 hits", got, srv.App.Users.Misses()-misses)
		}
		if got := srv.App.DB.Statements() - statements; got > 45 {
			t.Errorf("50 requests ran %d statements", got)
		}
		off := apptest.Start(t, apptest.Database(srv.App.Config.Database),
			func(o *apptest.Options) { o.Config.UserView = "off" })
		c.Server = off
		statements = off.App.DB.Statements()
		for range 10 {
			c.Do(t, me, nil).Into(t, &struct{}{})
		}
		if got := off.App.DB.Statements() - statements; got < 10 {
			t.Errorf("without the view, 10 requests ran %d statements", got)
		}
	})
}

// Each change is in force where it was made at once, and elsewhere with the next poll.
func TestChangesOfUsersReachEveryReplica(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, srv *apptest.Server, c *apptest.Client){
		"profile": func(t *testing.T, srv *apptest.Server, c *apptest.Client) { rename(t, srv, c, "Changed") },
		"roles": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			if _, err := srv.App.Accounts.SetRoles(t.Context(), c.UserID, []token.Role{"ADMIN"}, apptest.Operator); err != nil {
				t.Fatal(err)
			}
		},
		"disabling": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator); err != nil {
				t.Fatal(err)
			}
		},
		"deletion": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			if err := srv.App.Accounts.Remove(t.Context(), c.UserID, apptest.Operator); err != nil {
				t.Fatal(err)
			}
		},
		"e-mail": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			srv.Update(t, "UPDATE users SET email = 'changed@example.com', updated_at = now_us() WHERE id = $1", c.UserID)
			srv.App.Users.Drop(c.UserID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onThree(t, func(t *testing.T, replicas []*apptest.Server) {
				c := replicas[0].As(t)
				state := func(srv *apptest.Server) string {
					u, err := srv.App.Accounts.ByID(t.Context(), c.UserID)
					if fault.Is(err, fault.UserNotFound) {
						return "deleted"
					}
					if err != nil {
						t.Fatal(err)
					}
					return fmt.Sprint(u.Name, u.Email, u.Roles, u.Disabled())
				}
				before := state(replicas[0])
				for _, srv := range replicas {
					poll(t, srv)
					state(srv) // now it is held
				}
				change(t, replicas[0], c)
				if state(replicas[0]) == before {
					t.Error("the replica that made the change serves the former row")
				}
				for i, srv := range replicas[1:] {
					poll(t, srv)
					if state(srv) == before {
						t.Errorf("replica %d serves the former row after a poll", i+1)
					}
				}
			})
		})
	}
}

// No poll and no notification is needed on the replica that makes a change.
func TestAChangeIsInForceBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		claims, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		view := account.NewView(time.Hour, func(time.Duration) {}, srv.Now)
		pollView(t, srv, view)
		accounts := account.NewService(srv.App.DB, srv.App.Sessions, srv.App.Throttle, srv.App.Hasher, policy.Policy{}, view,
			func(token.Role) bool { return true }, 0, account.Mailing{}, nil, nil, nil)
		for _, name := range []string{"One", "Two"} {
			if u, err := accounts.ByID(t.Context(), c.UserID); err != nil || u.Name == name {
				t.Fatalf("%+v, %v", u, err)
			}
			_, err := accounts.UpdateProfile(t.Context(), account.Profile{Name: &name}, audit.Actor{Claims: *claims})
			if err != nil {
				t.Fatal(err)
			}
			hits := view.Hits()
			for want := range int64(2) {
				u, err := accounts.ByID(t.Context(), c.UserID)
				if err != nil || u.Name != name || view.Hits()-hits != want {
					t.Errorf("%+v, %v after %d hits: want the name %s after %d", u, err, view.Hits()-hits, name, want)
				}
			}
		}
	})
}

// pollView has a view read once.
func pollView(t *testing.T, srv *apptest.Server, view *account.View) {
	t.Helper()
	conn, err := srv.App.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := store.TimeOf(srv.Now())
	err = view.Poll(t.Context(), conn, now.Add(-time.Minute), now, false)
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
}

// Notifications only make it faster: without them the polls find the change.
func TestChangesOfUsersArriveWithoutNotifications(t *testing.T) {
	onThree(t, func(t *testing.T, replicas []*apptest.Server) {
		c := replicas[0].As(t)
		for _, srv := range replicas {
			named(t, srv, c.UserID)
		}
		replicas[0].Update(t, "UPDATE users SET name = 'Changed', updated_at = now_us() WHERE id = $1", c.UserID)
		for _, srv := range replicas {
			webtest.Eventually(t, "the change arrives", func() bool { return named(t, srv, c.UserID) == "Changed" })
		}
	})
}

// A transaction commits long after its statement, whose time the row has.
func TestALateCommitOfAUserIsFound(t *testing.T) {
	onThree(t, func(t *testing.T, replicas []*apptest.Server) {
		c := replicas[0].As(t)
		for _, srv := range replicas {
			poll(t, srv)
			named(t, srv, c.UserID)
		}
		replicas[0].Update(t, "UPDATE users SET name = 'Late', updated_at = now_us() - 9000000 WHERE id = $1", c.UserID)
		for i, srv := range replicas {
			poll(t, srv)
			if got := named(t, srv, c.UserID); got != "Late" {
				t.Errorf("replica %d serves the former name %q", i, got)
			}
		}
	})
}

// A read that began before a change must not bring the former row back after it.
func TestAChangeThatRacesAReadWins(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		for i, change := range []func(name string){
			func(name string) { rename(t, srv, c, name) },
			func(name string) { // on another replica
				srv.Update(t, "UPDATE users SET name = $2, updated_at = now_us() WHERE id = $1", c.UserID, name)
				poll(t, srv)
			},
		} {
			name := []string{"Here", "There"}[i]
			srv.App.Users.Drop(c.UserID)
			_, err := srv.App.Users.Read([]account.ID{c.UserID}, func() ([]*account.User, error) {
				u, err := srv.App.Accounts.Fresh(t.Context(), c.UserID)
				change(name)
				return []*account.User{u}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := named(t, srv, c.UserID); got != name {
				t.Errorf("serves %q after the change to %q", got, name)
			}
		}
	})
}

// A row that is changed by hand, without its updated_at, is served for a minute at most.
func TestUsersAreHeldForAMinute(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		poll(t, srv)
		before := named(t, srv, c.UserID)
		srv.Update(t, "UPDATE users SET name = 'By hand' WHERE id = $1", c.UserID)
		if got := named(t, srv, c.UserID); got != before {
			t.Errorf("served %q: the user was not held", got)
		}
		srv.Shift(61 * time.Second)
		poll(t, srv)
		if got := named(t, srv, c.UserID); got != "By hand" {
			t.Errorf("served %q after a minute", got)
		}
	})
}

// Without a good poll for MaxViewAge every read goes to the database.
func TestAnOldViewServesNothing(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		now := time.Now()
		view := account.NewView(session.MaxViewAge, func(time.Duration) {}, func() time.Time { return now })
		c := srv.As(t)
		read := func() (fromDatabase bool) {
			if view.Get(c.UserID) != nil {
				return false
			}
			_, err := view.Read([]account.ID{c.UserID}, func() ([]*account.User, error) {
				u, err := srv.App.Accounts.Fresh(t.Context(), c.UserID)
				return []*account.User{u}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			return true
		}
		pollOnce := func(ctx context.Context) error {
			conn, err := srv.App.DB.Conn(ctx)
			if err != nil {
				return err
			}
			defer func(conn *sqlx.Conn) { _ = conn.Close() }(conn)
			at := store.TimeOf(now)
			return view.Poll(ctx, conn, at.Add(-time.Minute), at, false)
		}
		read()
		if !read() {
			t.Error("a view that was never polled serves users")
		}
		if err := pollOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		read()
		if read() {
			t.Error("a fresh view serves nothing")
		}
		now = now.Add(session.MaxViewAge + time.Millisecond)
		if !read() {
			t.Error("a view that is too old serves users")
		}
		cut, cancel := context.WithCancel(t.Context())
		cancel()
		if err := pollOnce(cut); err == nil || !errors.Is(err, context.Canceled) {
			t.Errorf("a poll that was cut off: %v", err)
		}
		if !read() {
			t.Error("a failed poll makes the view fresh")
		}
		if err := pollOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		read()
		if read() {
			t.Error("a good poll does not make the view fresh")
		}
	})
}
