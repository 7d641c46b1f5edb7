package challenge_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	oldSecret = "the old secret of a deployment, long enough"
	newSecret = "the new secret of a deployment, long enough"
	jane      = token.UserID("01890000-0000-7000-8000-00000000000a")
)

func service(t *testing.T, db *store.DB, current string, accepted ...string) *challenge.Service {
	t.Helper()
	s, err := secret.New(current, accepted...)
	if err != nil {
		t.Fatal(err)
	}
	return challenge.New(db, s, time.Now)
}

// run gives f a service on both databases, which have the user jane.
func run(t *testing.T, f func(t *testing.T, db *store.DB, s *challenge.Service)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		write(t, db, `INSERT INTO users (id, email, email_key, email_verified, name, roles, version, created_at, updated_at)
			VALUES ($1, 'jane@example.com', 'jane@example.com', FALSE, '', 'USER', 1, now_us(), now_us())`, jane)
		f(t, db, service(t, db, newSecret))
	})
}

func write(t *testing.T, db *store.DB, statement string, args ...any) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// issue returns the secret and the id of a new challenge.
func issue(t *testing.T, db *store.DB, s *challenge.Service, c challenge.Challenge) (secret, id string) {
	t.Helper()
	var reference string
	err := db.Tx(t.Context(), func(tx *store.Tx) (err error) {
		reference, err = s.Issue(tx, &c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secret, err = s.Reveal(reference)
	if err != nil {
		t.Fatal(err)
	}
	return secret, c.ID
}

func redeem(t *testing.T, db *store.DB, s *challenge.Service, c *challenge.Challenge) error {
	t.Helper()
	return db.Tx(t.Context(), func(tx *store.Tx) error { return s.Redeem(tx, c) })
}

func TestALinkIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		want := challenge.Challenge{Kind: challenge.ResetPassword, User: jane, Subject: "jane@example.com",
			Payload: []byte(`{"a": 1}`)}
		link, id := issue(t, db, s, want)
		want.ID = id
		for range 2 { // a scanner that opens the link uses nothing up
			c, err := s.Check(t.Context(), challenge.ResetPassword, link)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *c); diff != "" {
				t.Error(diff)
			}
		}
		if err := redeem(t, db, s, &want); err != nil {
			t.Fatal(err)
		}
		if err := redeem(t, db, s, &want); !fault.Is(err, fault.ChallengeInvalid) {
			t.Errorf("redeemed twice: %v", err)
		}
		if _, err := s.Check(t.Context(), challenge.ResetPassword, link); !fault.Is(err, fault.ChallengeInvalid) {
			t.Errorf("checked after use: %v", err)
		}
	})
}

func TestOneOf32RedemptionsWins(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		link, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		c, err := s.Check(t.Context(), challenge.VerifyEmail, link)
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int64
		var group errgroup.Group
		for range 32 {
			group.Go(func() error {
				err := db.Tx(t.Context(), func(tx *store.Tx) error { return s.Redeem(tx, c) })
				if err == nil {
					won.Add(1)
				} else if !fault.Is(err, fault.ChallengeInvalid) {
					return err
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil || won.Load() != 1 {
			t.Errorf("%d won: %v", won.Load(), err)
		}
	})
}

// All refusals are one error, so that a thief learns nothing about a token.
func TestEveryRefusalIsTheSameError(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		link := func() string {
			text, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
			return text
		}
		other := link()
		foreign, _ := issue(t, db, service(t, db, oldSecret), challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		expired, expiredID := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		write(t, db, "UPDATE challenges SET expires_at = now_us() WHERE id = $1", expiredID)
		unknown, unknownID := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		write(t, db, "DELETE FROM challenges WHERE id = $1", unknownID)
		reset, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.ResetPassword, User: jane})
		var texts []string
		for name, text := range map[string]string{
			"empty":               "",
			"cut":                 other[:len(other)-1],
			"longer":              other + "A",
			"with a line break":   other + "\n",
			"with the MAC of one": other[:22] + link()[22:],
			"another alphabet":    strings.Repeat("+", len(other)),
			"not text":            "\x00\xff",
			"another secret":      foreign,
			"expired":             expired,
			"unknown":             unknown,
			"another kind":        reset,
		} {
			_, err := s.Check(t.Context(), challenge.VerifyEmail, text)
			if !fault.Is(err, fault.ChallengeInvalid) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			texts = append(texts, fmt.Sprintf("%+v", fault.As(err)))
		}
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("%s\n%s", texts[0], text)
			}
		}
	})
}

// Only an open challenge has a secret to mail.
func TestTheSecretOfAnOpenChallengeIsRevealed(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		for name, end := range map[string]string{
			"used":    "UPDATE challenges SET used_at = now_us() WHERE id = $1",
			"void":    "DELETE FROM challenges WHERE id = $1",
			"expired": "UPDATE challenges SET expires_at = now_us() WHERE id = $1",
		} {
			for _, kind := range []challenge.Kind{challenge.VerifyEmail, challenge.LoginCode} {
				want, id := issue(t, db, s, challenge.Challenge{Kind: kind, User: jane})
				if got, err := s.RevealOpen(t.Context(), id); err != nil || got != want {
					t.Errorf("an open %s reveals %q, %v; want %q", kind, got, err, want)
				}
				write(t, db, end, id)
				if got, err := s.RevealOpen(t.Context(), id); err != nil || got != "" {
					t.Errorf("a %s that is %s reveals %q, %v", kind, name, got, err)
				}
			}
		}
	})
}

func TestVoidedChallengesAreRefused(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		valid := func(kind challenge.Kind, link string) bool {
			_, err := s.Check(t.Context(), kind, link)
			if err != nil && !fault.Is(err, fault.ChallengeInvalid) {
				t.Fatal(err)
			}
			return err == nil
		}
		verify, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		reset, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.ResetPassword, User: jane})
		invitation, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.Invitation, Subject: "7"})
		void := func(f func(*store.Tx) error) {
			if err := db.Tx(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		void(func(tx *store.Tx) error { return challenge.Void(tx, jane, challenge.ResetPassword) })
		if valid(challenge.ResetPassword, reset) || !valid(challenge.VerifyEmail, verify) {
			t.Error("the kinds to void were not those")
		}
		void(func(tx *store.Tx) error { return challenge.Void(tx, jane) })
		if valid(challenge.VerifyEmail, verify) || !valid(challenge.Invitation, invitation) {
			t.Error("the challenges to void were not those of the user")
		}
		void(func(tx *store.Tx) error { return challenge.VoidSubject(tx, challenge.Invitation, "7") })
		if valid(challenge.Invitation, invitation) {
			t.Error("the invitation is valid")
		}
		verify, _ = issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		write(t, db, "DELETE FROM users WHERE id = $1", jane)
		if valid(challenge.VerifyEmail, verify) {
			t.Error("the link of a deleted user is valid")
		}
	})
}

func TestACodeHasFiveAttempts(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		code, id := issue(t, db, s, challenge.Challenge{Kind: challenge.LoginCode, User: jane})
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("code %q", code)
		}
		try := func(id, code string) error {
			_, err := s.CheckCode(t.Context(), challenge.LoginCode, id, code)
			if err != nil && !fault.Is(err, fault.ChallengeInvalid) {
				t.Error(err)
			}
			return err
		}
		for _, wrong := range []string{"", code + "0", code[:5], "٠٠٠٠٠٠"} {
			if try(id, wrong) == nil {
				t.Errorf("%q was accepted", wrong)
			}
		}
		for _, other := range []string{"", "\x00", id + "\n", id[:20]} { // cost no attempt
			if try(other, code) == nil {
				t.Errorf("id %q was accepted", other)
			}
		}
		if err := try(id, code); err != nil {
			t.Errorf("the fifth attempt: %v", err)
		}
		if try(id, code) == nil {
			t.Error("the sixth attempt was accepted")
		}
	})
}

// A hundred concurrent guesses are five attempts.
func TestConcurrentGuessesAreCounted(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		code, id := issue(t, db, s, challenge.Challenge{Kind: challenge.LoginCode, User: jane})
		var accepted atomic.Int64
		var group errgroup.Group
		for range 32 {
			group.Go(func() error {
				_, err := s.CheckCode(t.Context(), challenge.LoginCode, id, code)
				if err == nil {
					accepted.Add(1)
				} else if !fault.Is(err, fault.ChallengeInvalid) {
					return err
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil || accepted.Load() != 5 {
			t.Errorf("%d attempts: %v", accepted.Load(), err)
		}
	})
}

func TestSecretsOutliveAChangeOfTheDeploymentsSecret(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, _ *challenge.Service) {
		before := service(t, db, oldSecret)
		link, _ := issue(t, db, before, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane, Payload: []byte("p")})
		after := service(t, db, newSecret, oldSecret)
		c, err := after.Check(t.Context(), challenge.VerifyEmail, link)
		if err != nil || string(c.Payload) != "p" {
			t.Errorf("%v %v", c, err)
		}
		if _, err := service(t, db, newSecret).Check(t.Context(), challenge.VerifyEmail, link); err == nil {
			t.Error("accepted without the old secret")
		}
	})
}

// A dump of the table contains neither the secrets nor the payloads.
func TestTheTableHoldsNoSecret(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		payload := []byte("a password hash")
		link, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane, Payload: payload})
		code, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.LoginCode, User: jane})
		var dump []string
		err := db.Select(t.Context(), &dump, "SELECT id || ' ' || subject || ' ' || nonce || ' ' || payload FROM challenges")
		if err != nil || len(dump) != 2 {
			t.Fatal(dump, err)
		}
		for _, text := range []string{link, link[22:], code, string(payload)} {
			if strings.Contains(strings.Join(dump, "\n"), text) {
				t.Errorf("the table contains %q", text)
			}
		}
	})
}

func TestRevealRefusesOtherReferences(t *testing.T) {
	t.Parallel()
	s := service(t, nil, newSecret)
	for _, reference := range []string{"", "verify-email", "verify-email short nonce", "a b c d"} {
		if text, err := s.Reveal(reference); err == nil || text != "" {
			t.Errorf("%q reveals %q", reference, text)
		}
	}
}

func TestPruneDeletesExpiredChallenges(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, db *store.DB, s *challenge.Service) {
		link, _ := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		_, expired := issue(t, db, s, challenge.Challenge{Kind: challenge.VerifyEmail, User: jane})
		write(t, db, "UPDATE challenges SET expires_at = now_us() - 1 WHERE id = $1", expired)
		_, err := s.Check(t.Context(), challenge.VerifyEmail, link)
		if err := errors.Join(err, s.Prune(t.Context())); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.Get(t.Context(), &left, "SELECT count(*) FROM challenges"); err != nil || left != 1 {
			t.Errorf("%d left: %v", left, err)
		}
	})
}

// Each token has one spelling.
func FuzzSplitToken(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 64))
	f.Add(strings.Repeat("A", 63) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		id, mac := challenge.SplitToken(text)
		if id != "" && id[:21] != text[:21] || id == "" && mac != nil || id != "" && len(text) != 64 {
			t.Errorf("%q became %q %x", text, id, mac)
		}
	})
}
