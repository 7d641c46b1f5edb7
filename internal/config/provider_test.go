package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/config"
)

func TestProvidersAreANameAndSettings(t *testing.T) {
	t.Parallel()
	name, settings, err := config.Provider(`  acme client-id=c  label="The Company" client-secret=a=b` + "\n").Split()
	want := map[string]string{"client-id": "c", "label": "The Company", "client-secret": "a=b"}
	if diff := cmp.Diff(want, settings); name != "acme" || err != nil || diff != "" {
		t.Errorf("%q %v %s", name, err, diff)
	}
	for _, text := range []string{"acme client-id", `acme label="open`, "acme a=1 a=2 secret", "acme =hidden",
		"acme Hidden=1"} {
		_, _, err := config.Provider(text).Split()
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", text, err)
		}
	}
	c := config.Federation{Provider: []config.Provider{"\n", "acme a=1", ""}}
	if got := c.Providers(); len(got) != 1 {
		t.Error(got)
	}
	secret := config.Provider("acme client-secret=hidden")
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v", secret), secret.LogValue().String()} {
		if strings.Contains(text, "hidden") {
			t.Error(text)
		}
	}
}
