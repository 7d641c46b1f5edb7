package password_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/password"
)

// secretHash is a published bcrypt hash of the password "secret" with cost 12.
const secretHash = "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"

func mustHasher(tb testing.TB, o password.HasherOptions) *password.Hasher {
	tb.Helper()
	h, err := password.NewHasher(o)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func mustHash(tb testing.TB, h *password.Hasher, password string) string {
	tb.Helper()
	stored, err := h.Hash(tb.Context(), password)
	if err != nil {
		tb.Fatal(err)
	}
	return stored
}

func mustPlain(tb testing.TB, password string, cost int) string {
	tb.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		tb.Fatal(err)
	}
	return string(hash)
}

func wantCompare(tb testing.TB, h *password.Hasher, stored, password string, wantOK, wantUpgrade bool) {
	tb.Helper()
	ok, upgrade, err := h.Compare(tb.Context(), stored, password)
	if ok != wantOK || upgrade != wantUpgrade || err != nil {
		tb.Errorf("Compare = %v, %v, %v; want %v, %v", ok, upgrade, err, wantOK, wantUpgrade)
	}
}

func TestHashIsSaltedAndMarked(t *testing.T) {
	t.Parallel()
	for prefix, o := range map[string]password.HasherOptions{
		"gw1$$$2a$05$":      {Cost: 5},
		"gw1$2026-a$$2a$04": {Cost: 4, Pepper: "a pepper", PepperID: "2026-a"},
	} {
		h := mustHasher(t, o)
		one, two := mustHash(t, h, "same password"), mustHash(t, h, "same password")
		if one == two {
			t.Errorf("the same hash twice: %s", one)
		}
		if !strings.HasPrefix(one, prefix) {
			t.Errorf("%s does not start with %s", one, prefix)
		}
		wantCompare(t, h, one, "same password", true, false)
		wantCompare(t, h, one, "Same password", false, false)
		// A bcrypt hash of the password itself would also match in other systems.
		if bcrypt.CompareHashAndPassword([]byte(one[strings.Index(one, "$2a"):]), []byte("same password")) == nil {
			t.Error("the password went to bcrypt as it is")
		}
	}
}

// The format must not change, because every database contains such hashes.
func TestStoredFormat(t *testing.T) {
	t.Parallel()
	made := func(key []byte) string {
		mac := hmac.New(sha512.New384, key)
		mac.Write([]byte("the password"))
		return mustPlain(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), 4)
	}
	h := mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "pepper", PepperID: "p1"})
	wantCompare(t, h, "gw1$p1$"+made([]byte("graphwarden password v1:pepper")), "the password", true, false)
	wantCompare(t, h, "gw1$$"+made([]byte("graphwarden password v1:")), "the password", true, true)
	wantCompare(t, h, "gw1$p9$"+made(nil), "the password", false, false) // an unknown pepper is not an empty key
}

func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	for _, length := range []int{72, 73, 1024} {
		password := strings.Repeat("p", length)
		stored := mustHash(t, h, password)
		wantCompare(t, h, stored, password, true, false)
		for i := 0; i < length; i += 1 + length/100 { // all of 72 and 73, every eleventh of 1,024
			wantCompare(t, h, stored, password[:i]+"q"+password[i+1:], false, false)
		}
		for _, other := range []string{password[:length-1], password + "p", password[:71], password[:72] + "x"} {
			wantCompare(t, h, stored, other, false, false)
		}
	}
}

func TestNULIsSignificant(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	passwords := []string{"P4ssw0rd", "P4ssw0rd\x00", "P4ssw0rd\x00P4ssw0rd", "\x00P4ssw0rd"}
	for i, one := range passwords {
		stored := mustHash(t, h, one)
		for j, other := range passwords {
			wantCompare(t, h, stored, other, i == j, false)
		}
	}
}

func TestComposedAndDecomposedSpellingsAreOnePassword(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	for _, pair := range [][2]string{
		{"pass-\u00E9-word", "pass-e\u0301-word"},
		{"\uAC00\uAC01 korean", "\u1100\u1161\u1100\u1161\u11A8 korean"},
		{strings.Repeat("é", 512), strings.Repeat("e\u0301", 512)}, // 1,024 bytes and 1,536
	} {
		wantCompare(t, h, mustHash(t, h, pair[0]), pair[1], true, false)
		wantCompare(t, h, mustHash(t, h, pair[1]), pair[0], true, false)
	}
	// NFKC would make different passwords equal.
	wantCompare(t, h, mustHash(t, h, "pass ﬁ word"), "pass fi word", false, false)
}

func TestHashRefusesWhatNoPolicyAccepts(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	for _, password := range []string{strings.Repeat("x", 1025), "invalid \xff"} {
		if stored, err := h.Hash(t.Context(), password); err == nil || stored != "" ||
			strings.Contains(err.Error(), password) {
			t.Errorf("Hash(%d bytes) = %q, %v", len(password), stored, err)
		}
	}
	if h.Rounds() != 0 {
		t.Errorf("%d rounds spent on them", h.Rounds())
	}
}

func TestPlainHashes(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	seventyTwo := strings.Repeat("x", 72)
	plain := func(password string) string { return mustPlain(t, password, 4) }
	for name, c := range map[string]struct {
		stored, password string
		want             bool
	}{
		"2a":                        {plain("imported"), "imported", true},
		"2b":                        {strings.Replace(plain("imported"), "$2a$", "$2b$", 1), "imported", true},
		"2y":                        {strings.Replace(plain("imported"), "$2a$", "$2y$", 1), "imported", true},
		"2x":                        {strings.Replace(plain("imported"), "$2a$", "$2x$", 1), "imported", false},
		"wrong":                     {plain("imported"), "Imported", false},
		"published":                 {secretHash, "secret", true},
		"published, wrong":          {secretHash, "secret ", false},
		"72 bytes":                  {plain(seventyTwo), seventyTwo, true},
		"73 bytes over 72":          {plain(seventyTwo), seventyTwo + "y", false},
		"1,025 bytes over 72":       {plain(seventyTwo), seventyTwo + strings.Repeat("y", 953), false},
		"P, NUL, P":                 {plain("imported"), "imported\x00imported", false},
		"P, NUL":                    {plain("imported"), "imported\x00", false},
		"hash of a NUL":             {plain("imp\x00orted"), "imp\x00orted", false},
		"hash of invalid UTF-8":     {plain("imp\xff"), "imp\xff", false},
		"decomposed as it was sent": {plain("e\u0301"), "e\u0301", true},
		"composed for decomposed":   {plain("e\u0301"), "\u00E9", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Even the published hash, which has a higher cost, is upgraded to a keyed digest.
			wantCompare(t, h, c.stored, c.password, c.want, c.want)
		})
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	low, high := mustHasher(t, password.HasherOptions{Cost: 4}), mustHasher(t, password.HasherOptions{Cost: 5})
	stored := mustHash(t, low, "the password")
	wantCompare(t, high, stored, "the password", true, true)
	wantCompare(t, high, stored, "another", false, false)
	wantCompare(t, high, mustHash(t, high, "the password"), "the password", true, false)
	wantCompare(t, low, mustHash(t, high, "the password"), "the password", true, false)
}

func TestPepperRotation(t *testing.T) {
	t.Parallel()
	none := mustHasher(t, password.HasherOptions{Cost: 4})
	first := mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "first pepper", PepperID: "p1"})
	second := mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "second pepper", PepperID: "p2",
		OldPeppers: map[string]string{"p1": "first pepper"}})
	forgot := mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "second pepper", PepperID: "p2"})
	removed := mustHasher(t, password.HasherOptions{Cost: 4, OldPeppers: map[string]string{"p2": "second pepper"}})
	swapped := mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "not the first", PepperID: "p1"})

	of := map[*password.Hasher]string{}
	for _, h := range []*password.Hasher{none, first, second} {
		of[h] = mustHash(t, h, "the password")
	}
	for _, c := range []struct {
		name         string
		made, by     *password.Hasher
		ok, upgrades bool
	}{
		{"same", first, first, true, false},
		{"pepper added", none, first, true, true},
		{"pepper replaced", first, second, true, true},
		{"pepper added and replaced", none, second, true, true},
		{"new pepper", second, second, true, false},
		{"old pepper not accepted", first, forgot, false, false},
		{"pepper unknown", first, none, false, false},
		{"pepper removed but accepted", second, removed, true, true},
		{"other pepper under the id", first, swapped, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantCompare(t, c.by, of[c.made], "the password", c.ok, c.upgrades)
			wantCompare(t, c.by, of[c.made], "a wrong password", false, false)
		})
	}
	// Changing the pepper id in a stored hash must not make it match.
	wantCompare(t, second, strings.Replace(of[first], "$p1$", "$p2$", 1), "the password", false, false)
	wantCompare(t, second, strings.Replace(of[first], "$p1$", "$$", 1), "the password", false, false)
}

// Earlier versions treated a line break at the end of the variable as part of the pepper.
func TestHashesOfAnUntrimmedPepperAreAcceptedAndRenewed(t *testing.T) {
	t.Parallel()
	earlier := mustHash(
		t, mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "a pepper\n", PepperID: "p1"}), "the password",
	)
	trimmed := password.HasherOptions{Cost: 4, Pepper: "a pepper", PepperID: "p1"}
	wantCompare(t, mustHasher(t, trimmed), earlier, "the password", false, false)
	both := trimmed
	both.UntrimmedPeppers = map[string]string{"p1": "a pepper\n"}
	wantCompare(t, mustHasher(t, both), earlier, "the password", true, true)
	wantCompare(t, mustHasher(t, both), earlier, "another password", false, false)
	renewed := mustHash(t, mustHasher(t, both), "the password")
	wantCompare(t, mustHasher(t, both), renewed, "the password", true, false)
	wantCompare(t, mustHasher(t, trimmed), renewed, "the password", true, false)
}

func TestCompareSpendsTheSameRounds(t *testing.T) {
	t.Parallel()
	const cost = 6
	o := password.HasherOptions{Cost: cost, Pepper: "pepper", PepperID: "p1"}
	ours := mustHash(t, mustHasher(t, o), "the password")
	plain := mustPlain(t, "the password", cost)
	type try struct{ stored, password string }
	tries := map[string]try{
		"unknown user":                  {"", "the password"},
		"right":                         {ours, "the password"},
		"wrong":                         {ours, "a wrong one"},
		"blank":                         {ours, ""},
		"1,024 bytes":                   {ours, strings.Repeat("x", 1024)},
		"over-long":                     {ours, strings.Repeat("x", 1025)},
		"a megabyte":                    {ours, strings.Repeat("x", 1<<20)},
		"invalid UTF-8":                 {ours, "\xff\xfe"},
		"unknown user, over-long":       {"", strings.Repeat("x", 1025)},
		"unknown user, invalid UTF-8":   {"", "\xff"},
		"plain, right":                  {plain, "the password"},
		"plain, wrong":                  {plain, "a wrong one"},
		"plain, over 72 bytes":          {plain, strings.Repeat("x", 73)},
		"plain, over-long":              {plain, strings.Repeat("x", 1025)},
		"plain, NUL":                    {plain, "the password\x00"},
		"plain, invalid UTF-8":          {plain, "\xff"},
		"unknown pepper":                {strings.Replace(ours, "$p1$", "$p9$", 1), "the password"},
		"malformed: text":               {"no hash at all", "the password"},
		"malformed: mark only":          {"gw1$", "the password"},
		"malformed: no bcrypt":          {"gw1$p1$", "the password"},
		"malformed: cut":                {ours[:len(ours)-1], "the password"},
		"malformed: longer":             {ours + "x", "the password"},
		"malformed: other alphabet":     {ours[:len(ours)-20] + "!" + ours[len(ours)-19:], "the password"},
		"malformed: salt":               {plain[:8] + "!" + plain[9:], "the password"},
		"malformed: cost 99":            {strings.Replace(plain, "$06$", "$99$", 1), "the password"},
		"malformed: cost 17":            {strings.Replace(plain, "$06$", "$17$", 1), "the password"},
		"malformed: cost 3":             {strings.Replace(plain, "$06$", "$03$", 1), "the password"},
		"malformed: cost +6":            {strings.Replace(plain, "$06$", "$+6$", 1), "the password"},
		"malformed: 2x":                 {"$2x" + plain[3:], "the password"},
		"malformed: plain behind marks": {"gw1$p1$" + ours, "the password"},
	}
	for c := 4; c < cost; c++ {
		low := mustHash(t, mustHasher(t, password.HasherOptions{Cost: c, Pepper: "pepper", PepperID: "p1"}), "the password")
		tries[fmt.Sprintf("cost %d, right", c)] = try{low, "the password"}
		tries[fmt.Sprintf("cost %d, wrong", c)] = try{low, "a wrong one"}
		tries[fmt.Sprintf("cost %d, over-long", c)] = try{low, strings.Repeat("x", 1025)}
		tries[fmt.Sprintf("cost %d, plain", c)] = try{mustPlain(t, "the password", c), "the password"}
		tries[fmt.Sprintf("cost %d, plain, NUL", c)] = try{mustPlain(t, "the password", c), "the\x00password"}
	}
	untrimmed := o
	untrimmed.UntrimmedPeppers = map[string]string{"p1": "pepper\n"}
	for name, c := range tries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, twice := mustHasher(t, o), mustHasher(t, untrimmed)
			ok, upgrade, err := h.Compare(t.Context(), c.stored, c.password)
			if err != nil {
				t.Fatal(err)
			}
			if h.Rounds() != 1<<cost {
				t.Errorf("%d rounds, want %d", h.Rounds(), 1<<cost)
			}
			wantCompare(t, twice, c.stored, c.password, ok, upgrade)
			if twice.Rounds() != 2<<cost {
				t.Errorf("with untrimmed peppers %d rounds, want %d", twice.Rounds(), 2<<cost)
			}
			matching := c.stored != "" && !strings.Contains(name, "malformed") && !strings.Contains(name, "unknown")
			if want := matching && c.password == "the password"; ok != want {
				t.Errorf("ok = %v, want %v", ok, want)
			}
		})
	}
}

// The cost of other schemes is estimated in bcrypt rounds. Compare adds the missing rounds in multiples of 2^4, the
// minimum of bcrypt.
func TestForeignHashesSpendTheRoundsOfOurs(t *testing.T) {
	t.Parallel()
	const cost = 8
	for name, stored := range vectors {
		for _, try := range []string{secret, "a wrong one", strings.Repeat("x", 1025), "\xff", "correct horse battery\x00"} {
			h := mustHasher(t, password.HasherOptions{Cost: cost})
			ok, upgrade, err := h.Compare(t.Context(), stored, try)
			if want := try == secret; err != nil || ok != want || upgrade != want {
				t.Errorf("%s, %.30q: %t, upgrade %t, %v", name, try, ok, upgrade, err)
			}
			if h.Rounds() > 1<<cost || h.Rounds() <= 1<<cost-1<<4 {
				t.Errorf("%s, %.30q: %d rounds", name, try, h.Rounds())
			}
		}
	}
}

// The bounds of the import also apply to rows that were written without it.
func TestStoredHashesAreBoundedToo(t *testing.T) {
	t.Parallel()
	const salted = "$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg"
	for _, stored := range []string{
		"$argon2id$v=19$m=4294967295,t=1,p=1" + salted, "$argon2id$v=19$m=65536,t=4294967295,p=1" + salted,
		"$scrypt$ln=30,r=8,p=1" + salted, "pbkdf2_sha256$4294967295$salt$A9qjp4DZ9W0eDMvpy5YJQg==",
		"gw1$" + vectors["Argon2id"], "gw1$$" + vectors["Django, PBKDF2"], "gw1${bcrypt}" + vectors["bcryptjs"],
	} {
		h := mustHasher(t, password.HasherOptions{Cost: 4})
		wantCompare(t, h, stored, secret, false, false)
		if h.Rounds() != 1<<4 {
			t.Errorf("%s: %d rounds", stored, h.Rounds())
		}
	}
}

func TestHigherStoredCostSpendsItself(t *testing.T) {
	t.Parallel()
	stored := mustHash(t, mustHasher(t, password.HasherOptions{Cost: 6}), "the password")
	for _, try := range []string{"the password", "a wrong one", strings.Repeat("x", 1025)} {
		h := mustHasher(t, password.HasherOptions{Cost: 4})
		wantCompare(t, h, stored, try, try == "the password", false)
		if h.Rounds() != 1<<6 {
			t.Errorf("%d rounds", h.Rounds())
		}
	}
}

func TestNewHasherRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]password.HasherOptions{
		"cost 3":                {Cost: 3},
		"cost 17":               {Cost: 17},
		"negative workers":      {Cost: 4, Workers: -1},
		"negative queue":        {Cost: 4, Queue: -1},
		"pepper without id":     {Cost: 4, Pepper: "hidden pepper"},
		"id without pepper":     {Cost: 4, PepperID: "p1"},
		"id with a dollar":      {Cost: 4, Pepper: "hidden pepper", PepperID: "p$1"},
		"id of 33":              {Cost: 4, Pepper: "hidden pepper", PepperID: strings.Repeat("p", 33)},
		"old pepper without id": {Cost: 4, OldPeppers: map[string]string{"": "hidden pepper"}},
		"empty old pepper":      {Cost: 4, OldPeppers: map[string]string{"p1": ""}},
		"one id, two peppers": {
			Cost:       4,
			Pepper:     "hidden pepper",
			PepperID:   "p1",
			OldPeppers: map[string]string{"p1": "another"},
		},
	} {
		if h, err := password.NewHasher(o); err == nil || h != nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "hidden pepper") {
			t.Errorf("%s: the error holds the pepper: %v", name, err)
		}
	}
	for _, cost := range []int{4, 16} {
		mustHasher(t, password.HasherOptions{Cost: cost})
	}
	mustHasher(t, password.HasherOptions{Cost: 4, Pepper: "p", PepperID: "p1", OldPeppers: map[string]string{"p1": "p"}})
}
