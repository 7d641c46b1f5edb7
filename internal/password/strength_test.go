package password_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
)

func rate(tb testing.TB, text string, problems ...fault.Field) *password.Strength {
	tb.Helper()
	s, err := mustHasher(tb, password.HasherOptions{Cost: 4}).
		Rate(tb.Context(), text, problems, "margarete.hilf@example.com", "margarete99", "Anna Zwölf")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestRatingsNameWhatIsEasyToGuess(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]password.Hint{
		"hilf2":                   password.AccountName,
		"Zwölf!":                  password.AccountName,
		"GraphWarden1":            password.AccountName,
		"passw0rd!":               password.CommonPassword,
		"constitution":            password.CommonWord,
		"12.05.1987":              password.Date,
		"bhgfdrewq":               password.KeyboardPattern,
		"xyxyxyxy":                password.Repetition,
		"fghijkl":                 password.Sequence,
		"xK4":                     password.Short,
		"":                        password.Short,
		"correct horse battery":   "",
		"xK4!mqzw-Rb7":            "",
		strings.Repeat("ab", 999): password.Repetition,
	} {
		s := rate(t, text)
		var got password.Hint
		if s.Hint != nil {
			got = *s.Hint
		}
		if got != want || (s.Message == "") != (want == "") || (s.Score >= 3) != (want == "") || s.Reason != nil {
			t.Errorf("%q: %+v with the hint %q, want %q", text, s, got, want)
		}
	}
}

func TestARefusedPasswordHasTheScoreZero(t *testing.T) {
	t.Parallel()
	problems := []fault.Field{
		{Reason: fault.PasswordTooLong, Message: "too long"}, {Reason: fault.PasswordInvalid, Message: "invalid"},
	}
	reason := fault.PasswordTooLong
	want := &password.Strength{Reason: &reason, Message: "too long"}
	if diff := cmp.Diff(want, rate(t, "correct horse battery staple", problems...)); diff != "" {
		t.Error(diff)
	}
}

// Ratings share the workers of hashes, so that a flood of them leaves a core to other requests.
func TestRatingsRunInTheWorkerPool(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h := mustHasher(t, password.HasherOptions{Cost: 4, Workers: 1, Queue: 1, Now: func() time.Time {
		once.Do(func() {
			close(entered)
			<-leave
		})
		return time.Time{}
	}})
	var hashing sync.WaitGroup
	hashing.Go(func() { _, _ = h.Hash(context.WithoutCancel(t.Context()), "a password") })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Rate(ctx, "another", nil)
	if !fault.Is(err, fault.TimedOut) {
		t.Errorf("while the only worker hashes: %v", err)
	}
	close(leave)
	hashing.Wait()
	if s := rate(t, "another"); s.Score == 0 && s.Hint == nil {
		t.Errorf("%+v", s)
	}
}

func TestRatingsOfHostileTexts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("4@8({[<3691!|0$57+7%2z", 50), strings.Repeat("é日𝔸", 400), strings.Repeat("İıſK", 20),
		strings.Repeat("\x00", 70), strings.Repeat("1.1.99/", 20), "\xff\xfe", "e\u0301\u0301\u0301", "\u202e\u0000\U0010ffff",
	} {
		s := rate(t, text, password.Policy{}.Check("", text, text, text)...)
		if s.Score < 0 || s.Score > 4 || s.Reason != nil && s.Score != 0 || s.Score < 3 && s.Message == "" {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

// The slowest known password: each character can stand for a letter.
func BenchmarkRate(b *testing.B) {
	text := strings.Repeat("4@8({[<3691!|0$57+7%2z", 6)
	h := mustHasher(b, password.HasherOptions{Cost: 4})
	for b.Loop() {
		if _, err := h.Rate(b.Context(), text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
