package signin_test

import (
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	passwords "github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/token"
)

// A login refused during a flood does not count as an attempt, so the owner can try again.
func TestAFullQueueRefusesBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		gate, busy := make(chan struct{}), make(chan struct{}, 4) // each of the two calls reads the clock twice
		h, err := passwords.NewHasher(passwords.HasherOptions{Cost: 4, Workers: 1, Queue: 1, Now: func() time.Time {
			busy <- struct{}{}
			<-gate
			return time.Time{}
		}})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() { _, _ = h.Hash(t.Context(), apptest.Password) })
		<-busy
		group.Go(func() { _, _ = h.Hash(t.Context(), apptest.Password) })
		for h.Pending() < 2 {
			runtime.Gosched()
		}
		policy := passwords.Policy{MinLength: 8}
		accounts := account.NewService(srv.App.DB, srv.App.Sessions, srv.App.Throttle, h, policy, nil, nil, 0,
			srv.App.Accounts.Mailing(), nil, nil, nil)
		s := signin.NewService(srv.App.DB, accounts, srv.App.Sessions, nil, srv.App.Throttle, h, policy, nil, nil,
			srv.App.Audit, slog.New(slog.DiscardHandler))
		srv.Exec(t, "DELETE FROM throttle")
		by := audit.Actor{Claims: token.Claims{UserID: c.UserID, SessionID: c.SessionID}}
		for name, attempt := range map[string]func() (*session.Grant, error){
			"login": func() (*session.Grant, error) {
				return s.Login(t.Context(), signin.Login{Email: &c.Email, Password: apptest.Password}, audit.Actor{})
			},
			"register": func() (*session.Grant, error) {
				in := account.Registration{Email: "new@example.com", Password: apptest.Password}
				return s.Register(t.Context(), in, audit.Actor{})
			},
			"reauthenticate": func() (*session.Grant, error) {
				secret := apptest.Password
				return s.Reauthenticate(t.Context(), signin.Reauthentication{Password: &secret}, by)
			},
		} {
			if _, err := attempt(); !fault.Is(err, fault.Overloaded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var counted int
		if err := srv.App.DB.Get(t.Context(), &counted, "SELECT count(*) FROM throttle"); err != nil || counted != 0 {
			t.Errorf("%d buckets were written, %v", counted, err)
		}
		close(gate)
		group.Wait()
	})
}
