package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func mustKeys(tb testing.TB, r *token.Ring) []token.KeyInfo {
	tb.Helper()
	keys, err := r.Keys(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// inState returns the key in a state. It fails unless there is exactly one.
func inState(tb testing.TB, r *token.Ring, state token.State) token.KeyInfo {
	tb.Helper()
	var found []token.KeyInfo
	for _, k := range mustKeys(tb, r) {
		if k.State == state {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("%d keys are %s: %v", len(found), state, mustKeys(tb, r))
	}
	return found[0]
}

func published(tb testing.TB, r *token.Ring) []string {
	tb.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		tb.Fatal(err)
	}
	kids := []string{}
	for _, k := range set.Keys {
		kids = append(kids, k.KeyID)
	}
	return kids
}

// exec changes the database without notifying the rings.
func exec(tb testing.TB, db *store.DB, query string, args ...any) {
	tb.Helper()
	err := db.Tx(tb.Context(), func(tx *store.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			return errors.New("no row")
		}
		return err
	})
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

// age makes all keys older, because tests cannot set the database's clock.
func age(tb testing.TB, db *store.DB, d time.Duration) {
	tb.Helper()
	exec(tb, db, `UPDATE signing_keys
		SET created_at = created_at - $1, activated_at = activated_at - $1, retired_at = retired_at - $1`, d.Microseconds())
}

func must(tb testing.TB, f func(context.Context) error) {
	tb.Helper()
	if err := f(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				ring := mustOpen(t, db, options(a))
				active, next := inState(t, ring, token.Active), inState(t, ring, token.Next)
				if active.Algorithm != a || next.Algorithm != a || active.ActivatedAt == 0 || next.ActivatedAt != 0 {
					t.Errorf("got %+v and %+v", active, next)
				}
				raw, issued := newServer(ring).mustIssue(t)
				if issued.KeyID != active.KeyID {
					t.Errorf("signed with %s, active is %s", issued.KeyID, active.KeyID)
				}
				// A restart or another replica.
				again := mustOpen(t, db, options(a))
				newServer(again).mustVerify(t, raw)
				if diff := cmp.Diff(mustKeys(t, ring), mustKeys(t, again)); diff != "" {
					t.Errorf("opening again changed the keys:\n%s", diff)
				}
			})
		})
	}
}

func TestKeyLifeCycle(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := options(token.ES256)
		a, b := newServer(mustOpen(t, db, o)), newServer(mustOpen(t, db, o))
		first, second := inState(t, a.Ring, token.Active).KeyID, inState(t, a.Ring, token.Next).KeyID
		old, _ := a.mustIssue(t)

		err := a.Rotate(t.Context(), unrecorded)
		if err == nil || !strings.Contains(err.Error(), "rotate again in 1h0m0s") {
			t.Fatalf("rotated to a key that was just published: %v", err)
		}
		must(t, a.Maintain)
		if got := inState(t, a.Ring, token.Active).KeyID; got != first {
			t.Fatal("maintenance rotated a young key")
		}
		age(t, db, o.Overlap)
		must(t, a.Maintain)
		if got := inState(t, a.Ring, token.Active).KeyID; got != first {
			t.Fatal("maintenance rotated before the key was old enough")
		}
		if want := []string{first, second}; !sameSet(want, published(t, b.Ring)) {
			t.Fatalf("published %v, want %v", published(t, b.Ring), want)
		}
		mustRotate(t, a.Ring)
		raw, issued := a.mustIssue(t)
		if issued.KeyID != second {
			t.Fatalf("signed with %s, want the former next key %s", issued.KeyID, second)
		}
		b.mustVerify(t, raw) // even before a reload, because b knows the key as next
		must(t, b.Reload)
		if raw, issued := b.mustIssue(t); issued.KeyID != second {
			t.Error("the other replica still signs with the old key")
		} else {
			a.mustVerify(t, raw)
		}
		third := inState(t, a.Ring, token.Next).KeyID
		if want := []string{first, second, third}; !sameSet(want, published(t, b.Ring)) {
			t.Errorf("published %v, want %v", published(t, b.Ring), want)
		}

		b.mustVerify(t, old)
		age(t, db, life+leeway-time.Minute)
		must(t, b.Reload)
		b.mustVerify(t, old)
		age(t, db, time.Minute)
		must(t, b.Reload)
		b.mustRefuse(t, old, token.ErrInvalid) // even if it is cached
		if slices.Contains(published(t, b.Ring), first) {
			t.Error("an expired key is still published")
		}
		must(t, b.Maintain)
		if slices.ContainsFunc(mustKeys(t, b.Ring), func(k token.KeyInfo) bool { return k.KeyID == first }) {
			t.Error("the expired key was not deleted")
		}
	})
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestMaintainRotatesByAge(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := options(token.EdDSA)
		ring := mustOpen(t, db, o)
		next := inState(t, ring, token.Next).KeyID
		age(t, db, o.RotateEvery)
		must(t, ring.Maintain)
		if got := inState(t, ring, token.Active).KeyID; got != next {
			t.Errorf("%s is active, want %s", got, next)
		}
		must(t, ring.Maintain)
		if got := inState(t, ring, token.Active).KeyID; got != next {
			t.Error("rotated twice")
		}
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, b := newServer(mustOpen(t, db, options(token.ES256))), newServer(mustOpen(t, db, options(token.ES256)))
		old, issued := a.mustIssue(t)
		b.mustVerify(t, old)
		next := inState(t, a.Ring, token.Next).KeyID
		revoke := func(kid string) {
			t.Helper()
			if err := a.Revoke(t.Context(), kid, unrecorded); err != nil {
				t.Fatal(err)
			}
		}
		revoke(issued.KeyID)
		a.mustRefuse(t, old, token.ErrInvalid)
		must(t, b.Reload)
		b.mustRefuse(t, old, token.ErrInvalid) // even if it is cached
		if slices.Contains(published(t, b.Ring), issued.KeyID) {
			t.Error("a revoked key is published")
		}
		if got := inState(t, b.Ring, token.Active).KeyID; got != next {
			t.Errorf("%s is active, want the former next key %s", got, next)
		}
		raw, _ := b.mustIssue(t)
		a.mustVerify(t, raw)

		revoke(issued.KeyID) // a second time
		if got := inState(t, b.Ring, token.Active).KeyID; got != next {
			t.Error("revoking a key twice revoked another")
		}
		revoke(inState(t, a.Ring, token.Next).KeyID)
		inState(t, a.Ring, token.Next) // a new key replaced it
		err := a.Revoke(t.Context(), "unknown", unrecorded)
		if err == nil || !strings.Contains(err.Error(), `no signing key "unknown"`) {
			t.Errorf("got %v", err)
		}
		for _, k := range mustKeys(t, a.Ring) {
			revoke(k.KeyID)
		}
		raw, _ = a.mustIssue(t)
		must(t, b.Reload)
		b.mustVerify(t, raw)
		age(t, db, life+leeway)
		must(t, a.Maintain)
		if got := len(mustKeys(t, a.Ring)); got != 2 {
			t.Errorf("%d keys left, want active and next", got)
		}
	})
}

// TestRevokeWithoutNext starts with a table that was edited by hand.
func TestRevokeWithoutNext(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s := newServer(mustOpen(t, db, options(token.ES256)))
		exec(t, db, `DELETE FROM signing_keys WHERE state = 'next'`)
		if err := s.Revoke(t.Context(), inState(t, s.Ring, token.Active).KeyID, unrecorded); err != nil {
			t.Fatal(err)
		}
		raw, _ := s.mustIssue(t)
		s.mustVerify(t, raw)
		must(t, s.Maintain)
		inState(t, s.Ring, token.Next)
	})
}

func TestAlgorithmChange(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		before := newServer(mustOpen(t, db, options(token.ES256)))
		old, first := before.mustIssue(t)
		o := options(token.EdDSA)
		after := newServer(mustOpen(t, db, o))
		must(t, after.Maintain)
		if got := inState(t, after.Ring, token.Next); got.Algorithm != token.EdDSA {
			t.Fatalf("next is %s", got.Algorithm)
		}
		if _, issued := after.mustIssue(t); issued.KeyID != first.KeyID {
			t.Fatal("the new key signs before its publication")
		}
		age(t, db, o.Overlap)
		must(t, after.Maintain)
		raw, issued := after.mustIssue(t)
		if got := inState(t, after.Ring, token.Active); got.Algorithm != token.EdDSA || got.KeyID != issued.KeyID {
			t.Errorf("active is %+v, signed with %s", got, issued.KeyID)
		}
		after.mustVerify(t, old)
		must(t, before.Reload)
		before.mustVerify(t, raw) // a replica that still runs with the old setting
		if got := len(mustKeys(t, after.Ring)); got != 3 {
			t.Errorf("%d keys, want three", got)
		}
	})
}

func TestConcurrentRings(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := options(token.ES256)
		rings := make([]*token.Ring, 6)
		concurrently := func(f func(i int) error) (errs []error) {
			results := make([]error, len(rings))
			var wg sync.WaitGroup
			for i := range rings {
				wg.Go(func() { results[i] = f(i) })
			}
			wg.Wait()
			return slices.DeleteFunc(results, func(err error) bool { return err == nil })
		}
		s := mustSecret(t, "one")
		errs := concurrently(func(i int) (err error) {
			rings[i], err = token.OpenRing(t.Context(), db, s, o)
			return err
		})
		if len(errs) != 0 {
			t.Fatalf("first start: %v", errs)
		}
		if got := len(mustKeys(t, rings[0])); got != 2 {
			t.Fatalf("%d keys after a first start, want two", got)
		}
		for round := range 3 {
			next := inState(t, rings[0], token.Next).KeyID
			age(t, db, o.RotateEvery)
			if errs := concurrently(func(i int) error { return rings[i].Maintain(t.Context()) }); len(errs) != 0 {
				t.Fatalf("round %d, maintain: %v", round, errs)
			}
			if got := inState(t, rings[0], token.Active).KeyID; got != next {
				t.Fatalf("round %d: %s is active, want %s", round, got, next)
			}
			inState(t, rings[0], token.Next)
		}
		next := inState(t, rings[0], token.Next).KeyID
		age(t, db, o.Overlap)
		var recorded sync.Map
		record := func(_ *store.Tx, keys string) error {
			recorded.Store(keys, nil)
			return nil
		}
		active := inState(t, rings[0], token.Active).KeyID
		errs = concurrently(func(i int) error { return rings[i].Rotate(t.Context(), record) })
		if len(errs) != len(rings)-1 {
			t.Errorf("%d of %d rotations refused: %v", len(errs), len(rings), errs)
		}
		if _, ok := recorded.Load(active + " → " + next); !ok {
			t.Error("the rotation was not recorded")
		}
		if got := inState(t, rings[0], token.Active).KeyID; got != next {
			t.Errorf("%s is active, want %s", got, next)
		}
		kids := mustKeys(t, rings[0])
		errs = concurrently(func(i int) error {
			return rings[i].Revoke(t.Context(), kids[i%len(kids)].KeyID, unrecorded)
		})
		if len(errs) != 0 {
			t.Errorf("revoke: %v", errs)
		}
		if errs := concurrently(func(i int) error { return rings[i].Maintain(t.Context()) }); len(errs) != 0 {
			t.Errorf("maintain: %v", errs)
		}
		raw, _ := newServer(rings[0]).mustIssue(t)
		for _, r := range rings {
			newServer(r).mustVerify(t, raw)
		}
	})
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		ring := mustOpen(t, db, options(token.ES256))
		before := mustKeys(t, ring)
		_, err := token.OpenRing(t.Context(), db, mustSecret(t, "two"), options(token.ES256))
		if err == nil || !strings.Contains(err.Error(), "give the --secret") || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, mustKeys(t, ring)); diff != "" {
			t.Errorf("the refused start changed the keys:\n%s", diff)
		}
		if _, err := token.Inspect(t.Context(), db, mustSecret(t, "two")); !errors.Is(err, secret.ErrUnseal) {
			t.Errorf("Inspect with a wrong secret: %v", err)
		}
		inspected, err := token.Inspect(t.Context(), db, mustSecret(t, "one"))
		if diff := cmp.Diff(before, inspected); err != nil || diff != "" {
			t.Errorf("Inspect: %v\n%s", err, diff)
		}
	})
}

func TestSecretChangeInTwoDeployments(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		o := options(token.RS256)
		open := func(current string, accepted ...string) *server {
			t.Helper()
			r, err := token.OpenRing(t.Context(), db, mustSecret(t, current, accepted...), o)
			if err != nil {
				t.Fatal(err)
			}
			return newServer(r)
		}
		accepting := open("one", "two")
		raw, _ := accepting.mustIssue(t)
		using := open("two", "one")
		using.mustVerify(t, raw)
		must(t, accepting.Reload)
		accepting.mustVerify(t, raw)

		// A replica of the first deployment still seals new keys under the old secret. One of the second deployment reads
		// them, and seals them again.
		age(t, db, o.Overlap)
		mustRotate(t, accepting.Ring)
		must(t, using.Reload)
		late, _ := using.mustIssue(t)
		must(t, using.Maintain)
		done := open("two")
		done.mustVerify(t, raw)
		done.mustVerify(t, late)
	})
}

// A command that runs with another secret than the servers must not keep them from starting again.
func TestCommandsWithAnotherSecretSealNothing(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	o := options(token.ES256)
	mustOpen(t, db, o)
	other, err := token.OpenRing(t.Context(), db, mustSecret(t, "two", "one"), o)
	if err != nil {
		t.Fatal(err)
	}
	age(t, db, o.Overlap)
	keys, err := other.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func() error{
		"rotate": func() error { return other.Rotate(t.Context(), unrecorded) },
		"revoke": func() error { return other.Revoke(t.Context(), keys[0].KeyID, unrecorded) },
	} {
		if err := act(); err == nil || !strings.Contains(err.Error(), "--secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustOpen(t, db, o)
	must(t, other.Reseal) // as a server with the new secret does
	if err := other.Rotate(t.Context(), unrecorded); err != nil {
		t.Error(err)
	}
}

func TestLoadRingGeneratesNoKeys(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	ring, err := token.LoadRing(t.Context(), db, mustSecret(t, "one"), options(token.ES256))
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := ring.Keys(t.Context()); err != nil || len(keys) > 0 {
		t.Errorf("%v, %v", keys, err)
	}
}

// TestSurvivesForeignSeals changes the secret without the deployment that accepts it first. A replica that knows only
// the old secret keeps the keys in memory, applies revocations, and reports unreadable keys.
func TestSurvivesForeignSeals(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	o := options(token.ES256)
	behind := newServer(mustOpen(t, db, o))
	raw, issued := behind.mustIssue(t)
	ahead, err := token.OpenRing(t.Context(), db, mustSecret(t, "two", "one"), o)
	if err != nil {
		t.Fatal(err)
	}
	must(t, ahead.Reseal)
	must(t, behind.Reload)
	behind.mustVerify(t, raw)
	if err := ahead.Revoke(t.Context(), issued.KeyID, unrecorded); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := behind.Reload(t.Context()); err == nil {
			t.Error("no error for an unreadable key")
		}
	}
	behind.mustRefuse(t, raw, token.ErrInvalid)
	raw, _ = behind.mustIssue(t)
	behind.mustVerify(t, raw)
}

// TestTamperedRows simulates an attacker, or an accident, with write access to the table but without the secret.
func TestTamperedRows(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	o := options(token.ES256)
	mustOpen(t, db, o)
	type row struct {
		KeyID     string `db:"kid"`
		Algorithm string `db:"algorithm"`
		PublicJWK string `db:"public_jwk"`
		Sealed    string `db:"sealed"`
	}
	var good, other row
	const query = `SELECT kid, algorithm, public_jwk, sealed FROM signing_keys WHERE state = $1`
	for state, dest := range map[string]*row{"active": &good, "next": &other} {
		if err := db.Get(t.Context(), dest, query, state); err != nil {
			t.Fatal(err)
		}
	}
	// Only a holder of the secret can seal for another kid, such as a later version with a bug.
	holder := mustSecret(t, "one")
	sealed, err := base64.StdEncoding.DecodeString(good.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := holder.Unseal("signing keys", sealed, []byte(good.KeyID))
	if err != nil {
		t.Fatal(err)
	}
	sealedForMine := base64.StdEncoding.EncodeToString(holder.Seal("signing keys", plain, []byte("mine")))
	jwk := func(old, new string) string {
		changed := strings.Replace(good.PublicJWK, old, new, 1)
		if changed == good.PublicJWK {
			t.Fatalf("no %s in %s", old, good.PublicJWK)
		}
		return changed
	}
	withCertificate := jwk(`"kty"`, `"x5u":"https://evil.example","kty"`)
	otherKey := strings.Replace(other.PublicJWK, other.KeyID, good.KeyID, 1)
	for name, bad := range map[string]row{
		"seal of another row":                  {good.KeyID, good.Algorithm, good.PublicJWK, other.Sealed},
		"seal not base64":                      {good.KeyID, good.Algorithm, good.PublicJWK, "!"},
		"no seal":                              {good.KeyID, good.Algorithm, good.PublicJWK, ""},
		"public key of another":                {good.KeyID, good.Algorithm, other.PublicJWK, good.Sealed},
		"kid not a thumbprint":                 {"mine", good.Algorithm, jwk(good.KeyID, "mine"), good.Sealed},
		"kid sealed, but not a thumbprint":     {"mine", good.Algorithm, jwk(good.KeyID, "mine"), sealedForMine},
		"public key of another under this kid": {good.KeyID, good.Algorithm, otherKey, good.Sealed},
		"kid inside differs":                   {good.KeyID, good.Algorithm, jwk(good.KeyID, "mine"), good.Sealed},
		"algorithm none":                       {good.KeyID, "none", good.PublicJWK, good.Sealed},
		"algorithm HS256":                      {good.KeyID, "HS256", "", good.Sealed},
		"algorithm EdDSA":                      {good.KeyID, "EdDSA", good.PublicJWK, good.Sealed},
		"use enc":                              {good.KeyID, good.Algorithm, jwk(`"sig"`, `"enc"`), good.Sealed},
		"no use":                               {good.KeyID, good.Algorithm, jwk(`"use":"sig",`, ""), good.Sealed},
		"another alg":                          {good.KeyID, good.Algorithm, jwk(`"ES256"`, `"ES384"`), good.Sealed},
		"private member":                       {good.KeyID, good.Algorithm, jwk(`"kty"`, `"d":"AQ","kty"`), good.Sealed},
		"duplicate member":                     {good.KeyID, good.Algorithm, jwk(`"kty"`, `"use":"sig","kty"`), good.Sealed},
		"certificate URL":                      {good.KeyID, good.Algorithm, withCertificate, good.Sealed},
		"point not on the curve":               {good.KeyID, good.Algorithm, jwk(`"x":"`, `"x":"AAAA`), good.Sealed},
		"no public key":                        {good.KeyID, good.Algorithm, "", good.Sealed},
		"public key not an object":             {good.KeyID, good.Algorithm, "[]", good.Sealed},
	} {
		t.Run(name, func(t *testing.T) {
			const update = `UPDATE signing_keys SET kid = $1, algorithm = $2, public_jwk = $3, sealed = $4
				WHERE state = 'active'`
			exec(t, db, update, bad.KeyID, bad.Algorithm, bad.PublicJWK, bad.Sealed)
			if _, err := token.OpenRing(t.Context(), db, mustSecret(t, "one"), o); err == nil {
				t.Error("the ring opened")
			}
			exec(t, db, update, good.KeyID, good.Algorithm, good.PublicJWK, good.Sealed)
			mustOpen(t, db, o)
		})
	}
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			ring := mustOpen(t, sqlite(t), options(a))
			var set struct {
				Keys []map[string]any `json:"keys"`
			}
			if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
				t.Fatal(err)
			}
			if a == token.HS256 {
				if string(ring.JWKS()) != `{"keys":[]}` {
					t.Errorf("a symmetric ring publishes %s", ring.JWKS())
				}
				return
			}
			members := map[token.Algorithm][]string{
				token.ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
				token.EdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
				token.RS256: {"alg", "e", "kid", "kty", "n", "use"},
			}
			want := []string{inState(t, ring, token.Active).KeyID, inState(t, ring, token.Next).KeyID}
			if got := published(t, ring); !sameSet(got, want) {
				t.Errorf("published %v, want %v", got, want)
			}
			for _, k := range set.Keys {
				var names []string
				for name := range k {
					names = append(names, name)
				}
				slices.Sort(names)
				if diff := cmp.Diff(members[a], names); diff != "" {
					t.Errorf("members (-want +got):\n%s", diff)
				}
				if k["use"] != "sig" || k["alg"] != string(a) {
					t.Errorf("got %v", k)
				}
			}
		})
	}
}

// TestJWKSVerifiesTokens verifies a token with the key set, as another service does.
func TestJWKSVerifiesTokens(t *testing.T) {
	t.Parallel()
	for _, a := range []token.Algorithm{token.ES256, token.EdDSA, token.RS256} {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			s := newServer(mustOpen(t, sqlite(t), options(a)))
			raw, issued := s.mustIssue(t)
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(s.JWKS(), &set); err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(a)})
			if err != nil {
				t.Fatal(err)
			}
			payload, err := jws.Verify(set)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(payload), fmt.Sprintf("%q", issued.ID)) {
				t.Errorf("got %s", payload)
			}
		})
	}
}

func TestJWKSMaxAgeIsBelowOverlap(t *testing.T) {
	t.Parallel()
	for _, overlap := range []time.Duration{time.Second, time.Minute, time.Hour, 1000 * time.Hour} {
		o := options(token.HS256)
		o.Overlap = overlap
		if got := mustOpen(t, sqlite(t), o).JWKSMaxAge(); got >= overlap || got <= 0 || got > time.Hour {
			t.Errorf("max-age %s for an overlap of %s", got, overlap)
		}
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "none", "es256", "ES384", "PS256"} {
		if _, err := token.ParseAlgorithm(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
		o := options(token.Algorithm(name))
		if _, err := token.OpenRing(t.Context(), sqlite(t), mustSecret(t, "one"), o); err == nil {
			t.Errorf("a ring for %q opened", name)
		}
	}
}

func TestKeyIDsDoNotLookLikeFlags(t *testing.T) {
	t.Parallel()
	ring := mustOpen(t, sqlite(t), options(token.EdDSA))
	for range 640 { // ten of them would start with a hyphen on average
		id, err := ring.NewKeyID()
		if err != nil || strings.HasPrefix(id, "-") {
			t.Fatalf("key id %q, %v", id, err)
		}
	}
}
