package session_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

var listensOn = regexp.MustCompile(`http://[0-9.:]+`)

// process runs the server in a separate process and points srv's clients at it.
func process(tb testing.TB, srv *apptest.Server, url string) (kill func()) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveVariable+"=1", "GRAPHWARDEN_DATABASE="+url, "GRAPHWARDEN_LISTEN=127.0.0.1:0",
		"GRAPHWARDEN_REGISTER_ADDRESS_LIMIT=100000/1m", "GRAPHWARDEN_REGISTER_LIMIT=100000/1m",
		"GRAPHWARDEN_LOGIN_ADDRESS_LIMIT=100000/1m", "GRAPHWARDEN_BCRYPT_COST=4",
		"GRAPHWARDEN_SECRET=a secret for tests, of more than 32 bytes", "GRAPHWARDEN_PUBLIC_URL=http://graphwarden.test")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // SIGKILL, which no handler can delay
		_ = cmd.Wait()
	})
	tb.Cleanup(kill)
	banner, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("the server did not start: %v", err)
	}
	srv.URL = listensOn.FindString(banner)
	return kill
}

// beside starts a server in this process on the same database, to read what the killed one left there.
func beside(tb testing.TB, url string) *apptest.Server {
	tb.Helper()
	return apptest.Start(tb, apptest.Database(url))
}

func TestKillBetweenCommitAndAnswerSignsNoUserOut(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := &apptest.Server{}
		kill := process(t, srv, url)
		c, look := srv.As(t), beside(t, url)

		// The client never reads the response: it disconnects as soon as the commit is visible.
		hangUp, cancel := context.WithCancel(t.Context())
		defer cancel()
		var group errgroup.Group
		group.Go(func() error {
			_, err := srv.Anonymous().Call(hangUp, refreshMutation, map[string]any{"token": c.RefreshToken})
			return err
		})
		webtest.Eventually(t, "the rotation is committed", func() bool {
			return stateOf(t, look, c.SessionID).Generation == 2
		})
		kill()
		cancel()
		_ = group.Wait() // an error, or a response that a real client would have lost

		process(t, srv, url)
		for _, when := range []string{"within the grace", "after the grace"} {
			if a := srv.Anonymous().Redeem(t, c.RefreshToken); len(a.Errors) > 0 {
				t.Fatalf("the old token is refused %s: %s", when, a.Body)
			}
			endGrace(t, look, c.SessionID)
		}
		c.Take(auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)))
		wantAlive(t, srv, c.AccessToken, c.RefreshToken)
	})
}

// acknowledged is the last state that the server confirmed to a client before it died.
type acknowledged struct {
	client       *apptest.Client
	isLoggedOut  bool
	mayLoggedOut bool // a logout was sent, but not answered
}

// live registers users, refreshes twice and logs out every other one, until the server is gone.
func live(ctx context.Context, srv *apptest.Server, name string, acks *atomic.Int64) []*acknowledged {
	var all []*acknowledged
	for i := 0; ; i++ {
		c := srv.Anonymous()
		c.Email = fmt.Sprintf("%s-%d@example.com", name, i)
		pair, err := exchange(ctx, c, `mutation($email: String!, $password: String!) {
				register(input: {email: $email, password: $password}) { auth `+apptest.AuthFields+` } }`,
			map[string]any{"email": c.Email, "password": apptest.Password})
		if err != nil {
			return all
		}
		acks.Add(1)
		c.Take(pair)
		one := &acknowledged{client: c}
		all = append(all, one)
		for range 2 {
			if pair, err = exchange(ctx, c, refreshMutation, map[string]any{"token": c.RefreshToken}); err != nil {
				return all
			}
			acks.Add(1)
			c.Take(pair)
		}
		if i%2 == 0 {
			continue
		}
		one.mayLoggedOut = true
		answer, err := c.Call(ctx, logoutMutation, map[string]any{"scope": "CURRENT"})
		if err != nil || len(answer.Errors) > 0 {
			return all
		}
		acks.Add(1)
		one.isLoggedOut = true
	}
}

// exchange makes a call whose response contains a pair of tokens.
func exchange(
	ctx context.Context, c *apptest.Client, query string, variables map[string]any,
) (apptest.Auth, error) {
	answer, err := c.Call(ctx, query, variables)
	if err != nil {
		return apptest.Auth{}, err
	}
	if len(answer.Errors) > 0 {
		return apptest.Auth{}, errors.New(string(answer.Body))
	}
	var out struct {
		Register     struct{ Auth apptest.Auth }
		RefreshToken apptest.Auth
	}
	if err := json.Unmarshal(answer.Data, &out); err != nil {
		return apptest.Auth{}, err
	}
	if out.RefreshToken.RefreshToken != "" {
		return out.RefreshToken, nil
	}
	return out.Register.Auth, nil
}

func TestAcknowledgedChangesSurviveAKill(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := &apptest.Server{}
		for round, killAfter := range []int64{7, 60, 151} {
			kill := process(t, srv, url)
			const clients = 6
			var acks atomic.Int64
			results := make([][]*acknowledged, clients)
			var group errgroup.Group
			for i := range clients {
				group.Go(func() error {
					results[i] = live(t.Context(), srv, fmt.Sprintf("r%d-c%d", round, i), &acks)
					return nil
				})
			}
			webtest.Eventually(t, "enough requests are answered", func() bool { return acks.Load() >= killAfter })
			kill()
			_ = group.Wait()

			kill = process(t, srv, url)
			for _, one := range slices.Concat(results...) {
				wantKept(t, one)
			}
			kill()
		}
	})
}

// wantKept checks that the restarted server still has the state that the killed one confirmed.
func wantKept(tb testing.TB, one *acknowledged) {
	tb.Helper()
	c := one.client
	answer := c.Server.Anonymous().Redeem(tb, c.RefreshToken)
	switch {
	case one.isLoggedOut:
		answer.Refused(tb, "UNAUTHENTICATED", "SESSION_REVOKED")
		bearer(c.Server, c.AccessToken).Do(tb, meQuery, nil).Refused(tb, "UNAUTHENTICATED", "TOKEN_REVOKED")
	case len(answer.Errors) > 0 && !one.mayLoggedOut:
		tb.Errorf("the last refresh token that was issued is refused: %s", answer.Body)
	}
	c.Login(tb) // the account exists
}
