package secret_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/secret"
)

const text = "a secret  of the tests, with white space\tinside"

func mustNew(t *testing.T, current string, accepted ...string) *secret.Secret {
	t.Helper()
	s, err := secret.New(current, accepted...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewTrimsWhiteSpaceAround(t *testing.T) {
	t.Parallel()
	want := mustNew(t, text).Key("test")
	for _, spelled := range []string{text + "\n", text + "\r", text + "\r\n", " \t" + text + " \n\n"} {
		if !bytes.Equal(mustNew(t, spelled).Key("test"), want) {
			t.Errorf("%q derives a different key", spelled)
		}
	}
	others := []string{strings.ReplaceAll(text, "  ", " "), strings.ReplaceAll(text, "\t", " "), strings.ToUpper(text)}
	for _, other := range others {
		if bytes.Equal(mustNew(t, other).Key("test"), want) {
			t.Errorf("%q derives the same key", other)
		}
	}
	if _, err := secret.New(strings.Repeat("s", secret.MinLength-1) + "\n"); err == nil {
		t.Error("the line break counts towards the minimum length")
	}
}

// Earlier versions treated the line break as part of the secret. Values they sealed still decrypt, are reported as not
// current, and decrypt without the line break once they are sealed again.
func TestUnsealDecryptsValuesOfUntrimmedSecrets(t *testing.T) {
	t.Parallel()
	const plain = "sealed by an earlier version"
	earlier := secret.Untrimmed(text+"\n").Seal("test", []byte(plain), nil)
	for name, s := range map[string]*secret.Secret{
		"current":  mustNew(t, text+"\n"),
		"accepted": mustNew(t, strings.Repeat("n", 32), text+"\n"),
	} {
		got, current, err := s.Unseal("test", earlier, nil)
		if err != nil || string(got) != plain || current {
			t.Errorf("%s: %q, current: %t, %v", name, got, current, err)
		}
	}
	again := mustNew(t, text+"\n").Seal("test", []byte(plain), nil)
	if got, current, err := mustNew(t, text).Unseal("test", again, nil); err != nil || string(got) != plain || !current {
		t.Errorf("sealed again: %q, current: %t, %v", got, current, err)
	}
}
