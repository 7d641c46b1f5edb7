package attack_test

import (
	"net/http"
	"testing"

	"github.com/graphwarden/graphwarden/bench/attack"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

func TestAttacksAreRefused(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Config.Production, o.Config.PublicURL, o.Config.BcryptCost = true, "https://api.example.com", 12
		o.Config.LoginPairLimit.Burst = 2
	})
	for _, a := range attack.All() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			for n := range 2 {
				o, err := a.Send(t.Context(), http.DefaultClient, srv.URL+"/graphql", n)
				if err != nil {
					t.Fatal(err)
				}
				for _, problem := range a.Judge(o) {
					t.Errorf("%s: %s: %.500s", o.Verdict(), problem, o.Body)
				}
			}
		})
	}
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	a := attack.Attack{Name: "x", Want: "400 A B"}
	for name, test := range map[string]struct {
		outcome  attack.Outcome
		problems int
	}{
		"expected":     {attack.Outcome{Status: 400, Code: "A", Reason: "B", Errors: 10, Bytes: 8192}, 0},
		"a 500":        {attack.Outcome{Status: 500, Code: "A", Reason: "B", Errors: 1}, 2},
		"large":        {attack.Outcome{Status: 400, Code: "A", Reason: "B", Errors: 1, Bytes: 8193}, 1},
		"many errors":  {attack.Outcome{Status: 400, Code: "A", Reason: "B", Errors: 11}, 1},
		"no code":      {attack.Outcome{Status: 400, Errors: 1}, 2},
		"another code": {attack.Outcome{Status: 400, Code: "A", Errors: 1}, 1},
		"a leak":       {attack.Outcome{Status: 400, Code: "A", Reason: "B", Errors: 1, Body: []byte("Did you mean")}, 1},
		"no response":  {attack.Outcome{}, 1},
	} {
		if problems := a.Judge(test.outcome); len(problems) != test.problems {
			t.Errorf("%s: %q", name, problems)
		}
	}
	a.MayClose = true
	if problems := a.Judge(attack.Outcome{}); len(problems) > 0 {
		t.Errorf("closed while sending: %q", problems)
	}
}
