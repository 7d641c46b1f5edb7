package app_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

const (
	meQuery       = `{ me { email } }`
	readQuery     = `{ me { sessions { totalCount } } }` // not served from memory
	loginMutation = `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) { tokenType }
	}`
	// operationTimeout is the servers' timeout. Tests allow three times as long for a busy machine.
	operationTimeout = 2 * time.Second
	// recovery is three times the time in which a server replaces dead connections.
	recovery = 3 * 5 * time.Second
)

// onServer calls f with the program running on a Postgres database.
func onServer(t *testing.T, database string) *server {
	t.Helper()
	return serve(t, t.TempDir(), "--bcrypt-cost=4", "--operation-timeout="+operationTimeout.String(),
		"--database="+database, "--secret=a secret for tests, of more than 32 bytes")
}

// ends checks that an operation is answered in time.
func ends(t *testing.T, c *apptest.Client, query string) *apptest.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*operationTimeout)
	defer cancel()
	answer, err := c.Call(ctx, query, map[string]any{"email": c.Email, "password": apptest.Password})
	if err != nil {
		t.Fatalf("no answer within three times --operation-timeout: %v", err)
	}
	return answer
}

// crowd sends many concurrent requests, so that the server opens many connections.
func crowd(t *testing.T, c *apptest.Client) {
	t.Helper()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if a, err := c.Call(t.Context(), readQuery, nil); err != nil || a.Status != 200 {
				t.Errorf("%v %+v", err, a)
			}
		})
	}
	all.Wait()
}

// The firewall drops old connections and allows new ones.
func TestAServerRecoversFromDeadConnections(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		if !strings.HasPrefix(url, "postgres:") {
			return // SQLite has no network connections
		}
		wall := storetest.StartFirewall(t, url)
		srv := onServer(t, wall.URL)
		c := srv.As(t)
		crowd(t, c)
		for range 2 {
			wall.Forget()
			for forgotten := time.Now(); ; {
				answer := ends(t, c, readQuery)
				if answer.Status == 200 {
					break
				}
				if code := answer.Errors[0].Extensions.Code; code != "UNAVAILABLE" {
					t.Fatalf("%d %s", answer.Status, answer.Body)
				}
				if took := time.Since(forgotten); took > recovery {
					t.Fatalf("still %s after %s", answer.Body, took)
				}
			}
			crowd(t, c)
			if answer := ends(t, c, loginMutation); answer.Status != 200 {
				t.Errorf("a login after the recovery: %s", answer.Body)
			}
		}
		wall.Forget()
		srv.stop(t)
	})
}

func TestAServerWithAFrozenDatabaseAnswersAndStops(t *testing.T) {
	t.Parallel()
	postgres := storetest.StartOutage(t)
	srv := onServer(t, postgres.URL)
	c := srv.As(t)
	crowd(t, c)
	postgres.Freeze(t)
	var all sync.WaitGroup
	for range 20 { // more than the number of connections
		all.Go(func() {
			answer := ends(t, c, loginMutation)
			if answer.Status != 503 || answer.Errors[0].Extensions.Code != "UNAVAILABLE" ||
				answer.Errors[0].Extensions.RetryAfter <= 0 {
				t.Errorf("a login: %d %s", answer.Status, answer.Body)
			}
		})
	}
	all.Wait()
	await(t, "guarded fields are refused", func() bool { return ends(t, c, meQuery).Status == 503 })
	postgres.Thaw(t)
	thawed := time.Now()
	await(t, "guarded fields are answered again", func() bool { return ends(t, c, meQuery).Status == 200 })
	if took := time.Since(thawed); took > recovery {
		t.Errorf("guarded fields are answered %s after the end of the outage", took)
	}
	postgres.Freeze(t)
	srv.stop(t)
}

// connect_timeout=0 removes the timeout of the connection that listens for notifications.
func TestAStopDoesNotWaitForAConnection(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		if !strings.HasPrefix(url, "postgres:") {
			return
		}
		wall := storetest.StartFirewall(t, url+"&connect_timeout=0&application_name="+t.Name())
		srv := onServer(t, wall.URL)
		crowd(t, srv.As(t))
		wall.Swallow()
		admin := storetest.Open(t, url)
		await(t, "the connection that listens is ended", func() bool {
			var ended int
			err := admin.Get(t.Context(), &ended, `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = left($1, 63) AND query LIKE 'LISTEN%'`, t.Name())
			return err == nil && ended > 0
		})
		await(t, "it connects again", func() bool { return wall.Swallowed() > 0 })
		srv.stop(t)
	})
}
