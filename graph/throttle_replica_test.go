package graph_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// onReplicas runs f on three servers that share a Postgres, and on one with SQLite.
func onReplicas(t *testing.T, change func(*apptest.Options), f func(t *testing.T, replicas []*apptest.Server)) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		replicas := []*apptest.Server{apptest.Start(t, apptest.Database(url), change)}
		for !strings.HasPrefix(url, "sqlite:") && len(replicas) < 3 {
			replicas = append(replicas, apptest.Start(t, apptest.Database(url), change))
		}
		f(t, replicas)
	})
}

// Concurrent guesses to all replicas together reach bcrypt only as often as the limit allows.
func TestConcurrentGuessesAreCountedOnAllReplicasTogether(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 7
	onReplicas(t, limited(limits), func(t *testing.T, replicas []*apptest.Server) {
		owner := replicas[0].As(t)
		rounds := func() (sum uint64) {
			for _, srv := range replicas {
				sum += srv.App.Hasher.Rounds()
			}
			return sum
		}
		before := rounds()
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() {
				if _, err := replicas[i%len(replicas)].Anonymous().Call(t.Context(), "mutation { "+guess(owner.Email, fmt.Sprint("guess ", i))+" }", nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if attempts := (rounds() - before) / bcryptRounds; attempts != uint64(limits.LoginPairLimit.Burst) {
			t.Errorf("%d attempts reached bcrypt, want %d", attempts, limits.LoginPairLimit.Burst)
		}
		for _, srv := range replicas {
			srv.Anonymous().Do(
				t, "mutation { "+guess(owner.Email, apptest.Password)+" }", nil,
			).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		}
	})
}

// A hundred logins in one request, which the limits on documents allow, count as a hundred attempts.
func TestAliasedLoginsCountEach(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginAddressLimit.Burst = 100
	onReplicas(t, limited(limits), func(t *testing.T, replicas []*apptest.Server) {
		srv := replicas[0]
		var aliased strings.Builder
		for i := range limits.LoginAddressLimit.Burst {
			fmt.Fprintf(&aliased, "a%d: %s ", i, guess(fmt.Sprintf("unknown%d@example.com", i), "guess"))
		}
		before := srv.App.Hasher.Rounds()
		srv.Anonymous().Do(t, "mutation { "+aliased.String()+" }", nil)
		if attempts := (srv.App.Hasher.Rounds() - before) / bcryptRounds; attempts != uint64(limits.LoginAddressLimit.Burst) {
			t.Errorf("%d attempts reached bcrypt, want %d, one per login", attempts, limits.LoginAddressLimit.Burst)
		}
		srv.Anonymous().Do(
			t, "mutation { "+guess("next@example.com", "guess")+" }", nil,
		).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	})
}

// All spellings of a name share a bucket, with or without an account.
func TestSpellingsShareABucket(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 6
	onReplicas(t, limited(limits), func(t *testing.T, replicas []*apptest.Server) {
		srv := replicas[0]
		owner := srv.As(t)
		owner.Do(t, `mutation { updateProfile(input: {username: "the.owner"}) { id } }`, nil).Into(t, &struct{}{})
		for _, spellings := range map[string][]string{
			"an address": {
				fmt.Sprintf("email: %q", owner.Email), fmt.Sprintf("email: %q", strings.ToUpper(owner.Email)),
				fmt.Sprintf("email: %q", " \t"+owner.Email+"\n"),
			},
			"a username": {`username: "the.owner"`, `username: "THE.Owner"`},
			"an unknown address": {
				`email: "Unknown@Example.com"`, `email: "unknown@example.com"`, `email: " UNKNOWN@EXAMPLE.COM "`,
			},
			"no address": {`email: "not an address"`},
		} {
			for i := range limits.LoginPairLimit.Burst + 1 {
				code, reason := "UNAUTHENTICATED", "INVALID_CREDENTIALS"
				if i == limits.LoginPairLimit.Burst {
					code, reason = "RATE_LIMITED", "TOO_MANY_ATTEMPTS"
				}
				srv.Anonymous().Do(
					t, `mutation { login(input: {`+spellings[i%len(spellings)]+`, password: "wrong"}) { tokenType } }`, nil,
				).Refused(t, code, reason)
			}
		}
	})
}

// A client that has used up the attempts on one name must not learn from a similar name without an account whether the
// first has one.
func TestNamesWithoutAnAccountRevealNothing(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 2
	srv := apptest.Start(t, limited(limits))
	owner := srv.As(t)
	owner.Do(t, `mutation { updateProfile(input: {username: "kim"}) { id } }`, nil).Into(t, &struct{}{})
	for name, alike := range map[string][]string{
		`email: "` + owner.Email + `"`: {`email: "\u202e` + owner.Email + `"`, `email: "` + owner.Email + `."`},
		`email: "unknown@example.com"`: {`email: "\u202eunknown@example.com"`, `email: "unknown@example.com."`},
		`username: "kim"`:              {`email: "kim"`, `username: "\u212aim"`},
		`username: "kit"`:              {`email: "kit"`, `username: "\u212ait"`},
	} {
		try := func(name string) *apptest.Answer {
			return srv.Anonymous().Do(t, `mutation { login(input: {`+name+`, password: "wrong"}) { tokenType } }`, nil)
		}
		for range limits.LoginPairLimit.Burst {
			try(name)
		}
		try(name).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		for _, other := range alike {
			try(other).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		}
	}
}

// attempt tries a login by a name, such as email: "a@example.com", from an address.
func attempt(t *testing.T, srv *apptest.Server, name, password, address string) *apptest.Answer {
	t.Helper()
	c := srv.Anonymous()
	c.Header = http.Header{"X-Forwarded-For": {address}}
	return c.Do(t, fmt.Sprintf(`mutation { login(input: {%s, password: %q}) { tokenType } }`, name, password), nil)
}

// behindProxy makes a server trust the addresses of attempt.
func behindProxy(l config.Limits) func(*apptest.Options) {
	return func(o *apptest.Options) {
		o.Config.Limits, o.Config.TrustedProxies = l, []string{"127.0.0.1", "::1"}
	}
}

// An account's e-mail address and username have separate counters. A stranger who has used up the attempts on one of
// them, from one or many addresses, sees the same for the other name as for any name.
func TestThrottlingDoesNotRevealNamesOfOneAccount(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst, limits.LoginAccountLimit.Burst = 3, 6
	onReplicas(t, behindProxy(limits), func(t *testing.T, replicas []*apptest.Server) {
		srv := replicas[0]
		one, other := srv.As(t), srv.As(t)
		one.Do(t, `mutation { updateProfile(input: {username: "one"}) { id } }`, nil).Into(t, &struct{}{})
		other.Do(t, `mutation { updateProfile(input: {username: "other"}) { id } }`, nil).Into(t, &struct{}{})
		transcript := func(network int, first, second string) (reasons []string) {
			for i := range 8 * limits.LoginPairLimit.Burst {
				name, address := first, fmt.Sprintf("192.0.%d.%d", network, i/(2*limits.LoginPairLimit.Burst))
				if i/limits.LoginPairLimit.Burst%2 == 1 {
					name = second
				}
				a := attempt(t, srv, name, "wrong", address)
				reasons = append(reasons, a.Errors[0].Extensions.Reason)
			}
			return reasons
		}
		mail := func(c *apptest.Client) string { return fmt.Sprintf("email: %q", c.Email) }
		ofOne := transcript(1, mail(one), `username: "one"`)
		if n := strings.Count(strings.Join(ofOne, " "), "INVALID_CREDENTIALS"); n != 2*limits.LoginAccountLimit.Burst {
			t.Errorf("%d attempts on one account passed, want %d for each of its names", n, limits.LoginAccountLimit.Burst)
		}
		if diff := cmp.Diff(ofOne, transcript(2, mail(other), `username: "unknown"`)); diff != "" {
			t.Errorf("two names of one account differ from names of two (-one +two):\n%s", diff)
		}
		if diff := cmp.Diff(ofOne, transcript(3, `email: "unknown@example.com"`, `username: "other"`)); diff != "" {
			t.Errorf("two names of one account differ from those of an unknown and another account (-one +two):\n%s", diff)
		}
	})
}

// A client that has used up an account's attempts does not notice that its owner signs in elsewhere: the answers are
// those for an unknown name.
func TestASuccessElsewhereRevealsNothing(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginAccountLimit.Burst = 4
	onReplicas(t, behindProxy(limits), func(t *testing.T, replicas []*apptest.Server) {
		srv := replicas[0]
		owner := srv.As(t)
		name := fmt.Sprintf("email: %q", owner.Email)
		for _, guessed := range []string{name, `email: "unknown@example.com"`} {
			for i := range limits.LoginAccountLimit.Burst {
				attempt(t, srv, guessed, "wrong", fmt.Sprintf("192.0.2.%d", i)).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			}
		}
		attempt(t, srv, name, apptest.Password, "127.0.0.1").Into(t, &struct{}{}) // the address of the registration
		owner.Do(
			t, `mutation { reauthenticate(input: {password: "`+apptest.Password+`"}) { tokenType } }`, nil,
		).Into(t, &struct{}{})
		for _, guessed := range []string{name, `email: "unknown@example.com"`} {
			attempt(t, srv, guessed, "wrong", "192.0.2.99").Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		}
	})
}

// Strangers cannot lock the owner out. A success clears the counter of the pair, but not that of the address.
func TestThrottlingSparesTheOwnerAndRemembersTheAddress(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginAccountLimit.Burst, limits.LoginAddressLimit.Burst = 4, 9
	onReplicas(t, behindProxy(limits), func(t *testing.T, replicas []*apptest.Server) {
		at := func(srv *apptest.Server, address string) *apptest.Client {
			c := srv.Anonymous()
			c.Header = http.Header{"X-Forwarded-For": {address}}
			return c
		}
		srv, other := replicas[0], replicas[len(replicas)-1]
		owner := srv.As(t)
		right := "mutation { " + guess(owner.Email, apptest.Password) + " }"
		at(srv, "198.51.100.1").Do(t, right, nil).Into(t, &struct{}{}) // a known address from here on
		for i := range 2 * limits.LoginAccountLimit.Burst {
			at(srv, fmt.Sprintf("192.0.2.%d", i)).Do(t, "mutation { "+guess(owner.Email, "wrong")+" }", nil)
		}
		at(other, "203.0.113.9").Do(t, right, nil).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		at(other, "198.51.100.1").Do(t, right, nil).Into(t, &struct{}{})
		owner.Do(
			t, `mutation { reauthenticate(input: {password: "`+apptest.Password+`"}) { tokenType } }`, nil,
		).Into(t, &struct{}{})

		own := "mutation { " + guess(srv.As(t).Email, apptest.Password) + " }"
		passed := 0
		for i := range 2 * limits.LoginAddressLimit.Burst { // guesses on other accounts, with logins to its own in between
			document := "mutation { " + guess(fmt.Sprintf("other%d@example.com", i), "wrong") + " }"
			if i%3 == 2 {
				document = own
			}
			if at(srv, "203.0.113.77").Do(t, document, nil).Status != http.StatusTooManyRequests {
				passed++
			}
		}
		if passed != limits.LoginAddressLimit.Burst {
			t.Errorf("%d attempts of one address passed, want %d", passed, limits.LoginAddressLimit.Burst)
		}
	})
}
