package password_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
)

func reasons(fields []fault.Field) []fault.Reason {
	var rs []fault.Reason
	for _, f := range fields {
		rs = append(rs, f.Reason)
	}
	return rs
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	const (
		tooShort = fault.PasswordTooShort
		tooLong  = fault.PasswordTooLong
		invalid  = fault.PasswordInvalid
		weak     = fault.PasswordTooCommon
	)
	for name, c := range map[string]struct {
		password string
		want     []fault.Reason
	}{
		"seven characters":                      {"xK4!mqz", []fault.Reason{tooShort}},
		"eight characters":                      {"xK4!mqzw", nil},
		"seven characters of many bytes":        {"猫も杓子も釣", []fault.Reason{tooShort}},
		"eight characters of four bytes":        {"🐙🦊🐢🦉🐝🐌🦀🐳", nil},
		"seven composed characters, decomposed": {strings.Repeat("e\u0301x", 3) + "o\u0308", []fault.Reason{tooShort}},
		"64 characters":                         {strings.Repeat("long pass phrase ", 4)[:64], nil},
		"1,024 bytes":                           {strings.Repeat("four", 256), nil},
		"1,025 bytes":                           {strings.Repeat("four", 256) + "x", []fault.Reason{tooLong}},
		"1,024 bytes of composed characters":    {strings.Repeat("éa\u0300", 256), nil},
		"a million bytes":                       {strings.Repeat("a", 1<<20), []fault.Reason{tooLong}},
		"no composition: letters only":          {"qmvzrtplk", nil},
		"no composition: digits only":           {"84629173", nil},
		"blanks":                                {"a b c d e", nil},
		"NUL":                                   {"ab\x00cd\x00efg", nil},
		"all printable ASCII":                   {` !"#$%&'()*+,-./0189:;<=>?@AZ[\]^_az{|}~`, nil},
		"invalid UTF-8":                         {"xK4!mqzw\xff", []fault.Reason{invalid}},
		"the replacement character":             {"xK4!mqzw\uFFFD", []fault.Reason{invalid}},
		"common":                                {"iloveyou", []fault.Reason{weak}},
		"common in capitals":                    {"SunShine1", []fault.Reason{weak}},
		"common and short":                      {"dragon", []fault.Reason{tooShort, weak}},
		"one character repeated":                {"%%%%%%%%%%%%%%", []fault.Reason{weak}},
		"digits upwards":                        {"23456789", []fault.Reason{weak}},
		"letters upwards":                       {"fghijklmnop", []fault.Reason{weak}},
		"letters downwards in both cases":       {"zYxWvUtSr", []fault.Reason{weak}},
		"almost a sequence":                     {"fghijklmnoq", nil},
		"steps of two":                          {"acegikmoq", nil},
		"the e-mail address":                    {"Margarete.Hilf@Example.com", []fault.Reason{weak}},
		"its local part":                        {"margarete.hilf", []fault.Reason{weak}},
		"the username":                          {"MARGARETE99", []fault.Reason{weak}},
		"the name of the service":               {"GraphWarden", []fault.Reason{weak}},
		"more than the username":                {"margarete99!", nil},
		"several problems":                      {"\xff", []fault.Reason{invalid, tooShort}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := password.Policy{}.Check("input.password", c.password, "margarete.hilf@example.com", "margarete99")
			if diff := cmp.Diff(c.want, reasons(got)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			for _, f := range got {
				if f.Path != "input.password" {
					t.Errorf("path %q", f.Path)
				}
				if len(c.password) > 2 && strings.Contains(strings.ToLower(f.Message), strings.ToLower(c.password)) {
					t.Errorf("the message repeats the password: %q", f.Message)
				}
			}
		})
	}
}

func TestPolicyMinLength(t *testing.T) {
	t.Parallel()
	p := password.Policy{MinLength: 15}
	if got := reasons(p.Check("p", "fourteen chars", "", "")); !cmp.Equal(got, []fault.Reason{fault.PasswordTooShort}) {
		t.Errorf("14 of 15: %v", got)
	}
	if got := p.Check("p", "fifteen, or so.", "", ""); got != nil {
		t.Errorf("15 of 15: %v", got)
	}
	for _, f := range p.Check("p", "fourteen chars", "", "") {
		if !strings.Contains(f.Message, "15") {
			t.Errorf("the message does not contain the length: %q", f.Message)
		}
	}
}
