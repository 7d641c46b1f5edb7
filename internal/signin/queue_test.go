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
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// A flood costs a refused login nothing, not even its own attempts: the owner who comes again finds them all.
func TestAFullQueueRefusesBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		gate, busy := make(chan struct{}), make(chan struct{}, 4) // each of the two asks twice
		h, err := password.NewHasher(password.HasherOptions{Cost: 4, Workers: 1, Queue: 1, Now: func() time.Time {
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
		policy := password.Policy{MinLength: 8}
		accounts := account.NewService(srv.App.DB, srv.App.Sessions, srv.App.Throttle, h, policy, nil, nil)
		s := signin.NewService(srv.App.DB, accounts, srv.App.Sessions, srv.App.Throttle, h, policy, srv.App.Audit,
			slog.New(slog.DiscardHandler))
		if err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec("DELETE FROM throttle"); return err }); err != nil {
			t.Fatal(err)
		}
		by := audit.Actor{Claims: token.Claims{UserID: c.UserID, SessionID: c.SessionID}}
		for name, attempt := range map[string]func() (*session.Grant, error){
			"login": func() (*session.Grant, error) {
				return s.Login(t.Context(), signin.Login{Email: &c.Email, Password: apptest.Password}, audit.Actor{})
			},
			"register": func() (*session.Grant, error) {
				return s.Register(t.Context(), account.Registration{Email: "new@example.com", Password: apptest.Password}, audit.Actor{})
			},
			"reauthenticate": func() (*session.Grant, error) {
				return s.Reauthenticate(t.Context(), apptest.Password, by)
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
