package password_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
)

// breachedList returns the bytes of a list.
func breachedList(tb testing.TB, falsePositives float64, passwords ...string) []byte {
	tb.Helper()
	builder := password.NewBreachedBuilder(uint64(len(passwords)), falsePositives)
	if err := password.ReadBreached(strings.NewReader(strings.Join(passwords, "\n")), builder.Add); err != nil {
		tb.Fatal(err)
	}
	var list bytes.Buffer
	if _, err := builder.WriteTo(&list); err != nil {
		tb.Fatal(err)
	}
	return list.Bytes()
}

func readBreachedList(list []byte) (*password.BreachedList, error) {
	return password.ReadBreachedList(bytes.NewReader(list), int64(len(list)))
}

func TestABreachedListContainsItsPasswords(t *testing.T) {
	t.Parallel()
	var passwords []string
	for i := range 20_000 {
		passwords = append(passwords, fmt.Sprint("breached ", i))
	}
	for _, rate := range []float64{password.MinFalsePositives, 1e-3, password.MaxFalsePositives} {
		list, err := readBreachedList(breachedList(t, rate, passwords...))
		if err != nil {
			t.Fatal(err)
		}
		if list.Count != 20_000 || list.FalsePositives != rate {
			t.Errorf("count %d, rate %g", list.Count, list.FalsePositives)
		}
		for _, one := range passwords {
			if found, err := list.Contains(one); err != nil || !found {
				t.Fatalf("%q: %t, %v", one, found, err)
			}
		}
		const others = 50_000
		mistakes := 0
		for i := range others {
			found, err := list.Contains(fmt.Sprint("another ", i))
			if err != nil {
				t.Fatal(err)
			}
			if found {
				mistakes++
			}
		}
		if share := float64(mistakes) / others; share > 1.5*rate+1e-4 {
			t.Errorf("%g of other passwords are in the list, want %g", share, rate)
		}
	}
}

func TestReadBreached(t *testing.T) {
	t.Parallel()
	hash := func(password string) string {
		sum := sha1.Sum([]byte(password))
		return hex.EncodeToString(sum[:])
	}
	for input, want := range map[string][]string{
		"":                      nil,
		"\n\r\n\n":              nil,
		"one\ntwo":              {hash("one"), hash("two")},
		"one\r\ntwo\r\n":        {hash("one"), hash("two")},
		" one ":                 {hash(" one ")},
		"e\u0301":               {hash("é")},
		hash("one") + ":17\r\n": {hash("one")},
		strings.ToUpper(hash("one")) + "\n" + hash("two"): {hash("one"), hash("two")},
		hash("one") + ":x":                  {hash(hash("one") + ":x")},
		hash("one")[1:] + ":1":              {hash(hash("one")[1:] + ":1")},
		strings.Repeat("z", 40):             {hash(strings.Repeat("z", 40))},
		strings.Repeat("x", 1024) + "\none": {hash(strings.Repeat("x", 1024)), hash("one")},
		strings.Repeat("x", 1025) + "\none": {hash("one")},
		strings.Repeat("x", 9000) + "\none": {hash("one")},
		"one\n" + strings.Repeat("x", 4096): {hash("one")},
	} {
		var got []string
		err := password.ReadBreached(strings.NewReader(input), func(sum [sha1.Size]byte) {
			got = append(got, hex.EncodeToString(sum[:]))
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%.60q: %v %s", input, err, diff)
		}
	}
}

func TestADamagedBreachedListIsRefused(t *testing.T) {
	t.Parallel()
	list := breachedList(t, 1e-3, "one", "two", "three")
	changed := func(at int, to byte) []byte {
		c := bytes.Clone(list)
		c[at] = to
		return c
	}
	for name, c := range map[string]struct {
		list []byte
		says string
	}{
		"an empty file":        {nil, "not a list made by graphwarden breached build"},
		"another file":         {[]byte(strings.Repeat("password:1\n", 100)), "not a list made by graphwarden"},
		"a later version":      {changed(11, 2), "it has the version 2, and this program reads version 1"},
		"a truncated file":     {list[:len(list)-1], "damaged: its size"},
		"a truncated header":   {list[:30], "damaged"},
		"a longer file":        {append(bytes.Clone(list), 0), "damaged: its size"},
		"another checksum":     {changed(12, list[12]^1), "damaged: its checksum"},
		"another count":        {changed(35, 9), "damaged: its checksum"},
		"no hashes":            {changed(19, 0), "damaged: its size"},
		"a bit of the table":   {changed(len(list)-1, list[len(list)-1]^1), "damaged: its checksum"},
		"an impossible length": {changed(20, 0xff), "damaged: its size"},
	} {
		if _, err := readBreachedList(c.list); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// Lists are made once and read by later versions and on other machines.
func TestTheFormatOfBreachedListsIsStable(t *testing.T) {
	t.Parallel()
	const want = "4757425245414348" + "00000001" + "e3cc5ee8" + "0000000a" + "0000000000010000" + "0000000000000002" +
		"3f50624dd2f1a9fc"
	if got := hex.EncodeToString(breachedList(t, 1e-3, "one", "two")[:44]); got != want {
		t.Errorf("got %s", got)
	}
}

func openBreached(tb testing.TB, log *slog.Logger, passwords ...string) (list *password.Breached, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "breached.gwb")
	if err := os.WriteFile(path, breachedList(tb, 1e-6, passwords...), 0o600); err != nil {
		tb.Fatal(err)
	}
	list, err := password.OpenBreached(path, log)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = list.Close() })
	return list, path
}

func TestPolicyRefusesBreachedPasswords(t *testing.T) {
	t.Parallel()
	list, _ := openBreached(t, slog.New(slog.DiscardHandler), "Zürich lake 47", "short", "1234")
	policy := password.Policy{Breached: list}
	for text, want := range map[string][]fault.Reason{
		"Zürich lake 47":       {fault.PasswordBreached},
		"Zu\u0308rich lake 47": {fault.PasswordBreached},
		"zürich lake 47":       nil,
		"short":                {fault.PasswordTooShort},
		"correct horse":        nil,
	} {
		if diff := cmp.Diff(want, reasons(policy.Check("", text, "", ""))); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestABreachedListIsReplacedWhileItIsUsed(t *testing.T) {
	t.Parallel()
	list, path := openBreached(t, slog.New(slog.DiscardHandler), "first")
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				list.Contains("password 0")
			}
		})
	}
	replace := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(path+".tmp", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		replace(breachedList(t, 1e-6, fmt.Sprint("password ", i)))
		if err := list.Reload(); err != nil {
			t.Fatal(err)
		}
		if !list.Contains(fmt.Sprint("password ", i)) || list.Contains(fmt.Sprint("password ", i-1)) {
			t.Errorf("reload %d has no effect", i)
		}
	}
	stop()
	readers.Wait()
	replace([]byte("damaged"))
	if err := list.Reload(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v", err)
	}
	if !list.Contains("password 49") {
		t.Error("the previous list is not in force")
	}
}

func TestAnUnreadableBreachedListIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	list, _ := openBreached(t, slog.New(slog.NewTextHandler(&log, nil)), "a secret password")
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	if list.Contains("a secret password") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log: %s", &log)
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log contains the password: %s", &log)
	}
}

func FuzzReadBreachedList(f *testing.F) {
	f.Add(breachedList(f, 1e-3, "one", "two"), "one")
	f.Add([]byte("GWBREACH"), "")
	f.Fuzz(func(t *testing.T, list []byte, text string) {
		l, err := readBreachedList(list)
		if err != nil {
			return
		}
		if _, err := l.Contains(text); err != nil {
			t.Errorf("an accepted list cannot be read: %v", err)
		}
	})
}

func FuzzReadBreached(f *testing.F) {
	f.Add("one\ntwo\r\n5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:3\n")
	f.Add(strings.Repeat("x", 5000) + "\n\xff\n")
	f.Fuzz(func(t *testing.T, input string) {
		n := 0
		if err := password.ReadBreached(strings.NewReader(input), func([sha1.Size]byte) { n++ }); err != nil {
			t.Fatal(err)
		}
		if most := 1 + strings.Count(input, "\n"); n > most {
			t.Errorf("%d passwords in %d lines", n, most)
		}
	})
}
