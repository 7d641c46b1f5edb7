package account_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/fault"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	local64 := strings.Repeat("l", 64)
	labels := strings.Repeat(strings.Repeat("d", 61)+".", 3) // 186 bytes
	email := func(address, key string) account.Email { return account.Email{Address: address, Key: key} }
	for name, c := range map[string]struct {
		in   string
		want account.Email
	}{
		"plain":         {"joe@example.com", email("joe@example.com", "joe@example.com")},
		"capitals":      {"Joe.Doe@Example.COM", email("Joe.Doe@Example.COM", "joe.doe@example.com")},
		"blanks around": {" \t\r\n\v\fjoe@example.com \n", email("joe@example.com", "joe@example.com")},
		"plus and symbols": {
			"j+!#$%&'*-/=?^_`{|}~@example.com",
			email("j+!#$%&'*-/=?^_`{|}~@example.com", "j+!#$%&'*-/=?^_`{|}~@example.com"),
		},
		"a single label":          {"root@localhost", email("root@localhost", "root@localhost")},
		"an international local":  {"Żółw@example.com", email("Żółw@example.com", "żółw@example.com")},
		"an international domain": {"info@Bücher.example", email("info@Bücher.example", "info@xn--bcher-kva.example")},
		"its ASCII spelling": {
			"info@XN--Bcher-KVA.example", email("info@XN--Bcher-KVA.example", "info@xn--bcher-kva.example"),
		},
		"sharp s": {"info@straße.example", email("info@straße.example", "info@xn--strae-oqa.example")},
		"a needed joiner": {
			"info@نامه\u200Cای.example", email("info@نامه\u200Cای.example", "info@xn--mgba3gch31f060k.example"),
		},
		"a middle dot in Catalan": {"info@col·legi.example", email("info@col·legi.example", "info@xn--collegi-xma.example")},
		"an emoji domain":         {"info@💩.example", email("info@💩.example", "info@xn--ls8h.example")},
		"hyphens in the middle":   {"joe@r3---sn.example", email("joe@r3---sn.example", "joe@r3---sn.example")},
		"an underscore":           {"joe@my_company.example", email("joe@my_company.example", "joe@my_company.example")},
		"a double dot":            {"taro..y@docomo.ne.jp", email("taro..y@docomo.ne.jp", "taro..y@docomo.ne.jp")},
		"a leading dot":           {".taro@docomo.ne.jp", email(".taro@docomo.ne.jp", ".taro@docomo.ne.jp")},
		"a dot before the at":     {"taro.@ezweb.ne.jp", email("taro.@ezweb.ne.jp", "taro.@ezweb.ne.jp")},
		"a long label, composed": {"joe@" + strings.Repeat("Ⱥ", 31) + ".com",
			email("joe@"+strings.Repeat("Ⱥ", 31)+".com", "joe@xn--cgj"+strings.Repeat("a", 30)+".com")},
		"Hebrew":              {"משה@example.com", email("משה@example.com", "משה@example.com")},
		"lower case composes": {"J\u030Coe@example.com", email("J\u030Coe@example.com", "\u01F0oe@example.com")},
		"longest":             {local64 + "@" + labels + "exa", email(local64+"@"+labels+"exa", local64+"@"+labels+"exa")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := account.ParseEmail("input.email", c.in)
			if problems != nil {
				t.Fatalf("refused: %v", problems)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if key, ok := account.EmailKey(c.in); !ok || key != c.want.Key {
				t.Errorf("EmailKey = %q, %v", key, ok)
			}
		})
	}
}

func TestParseEmailRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in     string
		reason fault.Reason
	}{
		"nothing":                {"", fault.Required},
		"blanks":                 {" \t\n", fault.Required},
		"no at sign":             {"joe.example.com", fault.EmailInvalid},
		"no local part":          {"@example.com", fault.EmailInvalid},
		"no domain":              {"joe@", fault.EmailInvalid},
		"two at signs":           {"joe@doe@example.com", fault.EmailInvalid},
		"a display name":         {"Joe <joe@example.com>", fault.EmailInvalid},
		"angle brackets":         {"<joe@example.com>", fault.EmailInvalid},
		"a quoted local part":    {`"joe"@example.com`, fault.EmailInvalid},
		"a quoted blank":         {`"joe doe"@example.com`, fault.EmailInvalid},
		"a comment":              {"joe@example.com (Joe)", fault.EmailInvalid},
		"a comment inside":       {"joe(x)@example.com", fault.EmailInvalid},
		"a list":                 {"joe@example.com,eve@example.com", fault.EmailInvalid},
		"a group":                {"team:joe@example.com;", fault.EmailInvalid},
		"a header":               {"joe@example.com\r\nBcc: eve@example.com", fault.EmailInvalid},
		"a blank inside":         {"joe @example.com", fault.EmailInvalid},
		"an address literal":     {"joe@[127.0.0.1]", fault.EmailInvalid},
		"a trailing dot":         {"joe@example.com.", fault.EmailInvalid},
		"an empty label":         {"joe@example..com", fault.EmailInvalid},
		"a leading hyphen":       {"joe@-example.com", fault.EmailInvalid},
		"a trailing hyphen":      {"joe@example-.com", fault.EmailInvalid},
		"an ideographic dot":     {"joe@example。com", fault.EmailInvalid},
		"a slash look-alike":     {"joe@example⁄evil.com", fault.EmailInvalid},
		"that in ASCII":          {"joe@xn--exampleevil-lx3f.com", fault.EmailInvalid},
		"a mapped letter":        {"joe@t\u1C82t.com", fault.EmailInvalid},
		"a symbol in the domain": {"joe@exa$mple.com", fault.EmailInvalid},
		"Punycode of ASCII":      {"joe@xn--example-.com", fault.EmailInvalid},
		"no Punycode":            {"joe@xn--ü.com", fault.EmailInvalid},
		"Punycode of a mapped":   {"joe@xn--Bcher-Kva7.com", fault.EmailInvalid},
		"both directions mixed":  {"joe@אa.example", fault.EmailInvalid},
		"a joiner between Latin": {"joe@exa\u200Dmple.com", fault.EmailInvalid},
		"a label of 64":          {"joe@" + strings.Repeat("d", 64) + ".com", fault.EmailInvalid},
		"a local part of 65":     {strings.Repeat("l", 65) + "@example.com", fault.TooLong},
		"255 bytes":              {"joe@" + strings.Repeat("dd.", 83) + "dd", fault.TooLong},
		"a megabyte":             {strings.Repeat("(", 1<<20) + "@example.com", fault.TooLong},
		"a key of 65 bytes":      {strings.Repeat("Ⱥ", 22) + "@example.com", fault.EmailInvalid},
		"invalid UTF-8":          {"joe\xff@example.com", fault.EmailInvalid},
		"an escaped like in SQL": {"joe'; --@example.com", fault.EmailInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := account.ParseEmail("input.email", c.in)
			want := []fault.Reason{c.reason}
			if diff := cmp.Diff(want, reasons(problems)); diff != "" || got != (account.Email{}) {
				t.Fatalf("got %+v; reasons (-want +got):\n%s", got, diff)
			}
			if problems[0].Path != "input.email" || problems[0].Message == "" {
				t.Errorf("%+v", problems[0])
			}
			if key, ok := account.EmailKey(c.in); ok || key != "" {
				t.Errorf("EmailKey = %q, %v", key, ok)
			}
		})
	}
}

// Each of these looks like kim.fisher@example.com or is another spelling of it. None must reach its account. The
// distinct ones are accepted, because they look different or belong to another alphabet.
func TestEmailLookAlikes(t *testing.T) {
	t.Parallel()
	const victim = "kim.fisher@example.com"
	for name, c := range map[string]struct {
		in       string
		distinct bool
	}{
		"Kelvin sign":               {in: "\u212Aim.fisher@example.com"},
		"long s":                    {in: "kim.fi\u017Fher@example.com"},
		"full-width letter":         {in: "\uFF4Bim.fisher@example.com"},
		"full-width at sign":        {in: "kim.fisher\uFF20example.com"},
		"full-width dot":            {in: "kim\uFF0Efisher@example.com"},
		"small at sign":             {in: "kim.fisher\uFE6Bexample.com"},
		"fi ligature":               {in: "kim.\uFB01sher@example.com"},
		"mathematical letter":       {in: "\U0001D424im.fisher@example.com"},
		"superscript letter":        {in: "k\u2071m.fisher@example.com"},
		"capital I with dot":        {in: "k\u0130m.fisher@example.com"},
		"capital I and dot":         {in: "kI\u0307m.fisher@example.com"},
		"zero-width space":          {in: "kim\u200B.fisher@example.com"},
		"zero-width non-joiner":     {in: "kim\u200C.fisher@example.com"},
		"zero-width joiner":         {in: "kim\u200D.fisher@example.com"},
		"word joiner":               {in: "kim\u2060.fisher@example.com"},
		"byte order mark":           {in: "kim\uFEFF.fisher@example.com"},
		"soft hyphen":               {in: "kim\u00AD.fisher@example.com"},
		"right-to-left override":    {in: "kim\u202E.fisher@example.com"},
		"right-to-left mark":        {in: "kim\u200F.fisher@example.com"},
		"isolate":                   {in: "kim\u2068.\u2069fisher@example.com"},
		"variation selector 16":     {in: "kim\uFE0F.fisher@example.com"},
		"variation selector 17":     {in: "kim\U000E0100.fisher@example.com"},
		"Mongolian separator":       {in: "kim\u180E.fisher@example.com"},
		"Mongolian selector":        {in: "kim\u180B.fisher@example.com"},
		"Hangul filler":             {in: "kim\u3164.fisher@example.com"},
		"Hangul choseong filler":    {in: "kim\u115F.fisher@example.com"},
		"half-width Hangul filler":  {in: "kim\uFFA0.fisher@example.com"},
		"combining grapheme joiner": {in: "kim\u034F.fisher@example.com"},
		"tag letter":                {in: "kim\U000E0061.fisher@example.com"},
		"Khmer inherent vowel":      {in: "kim\u17B4.fisher@example.com"},
		"braille blank":             {in: "kim\u2800.fisher@example.com"},
		"no-break space":            {in: "kim\u00A0.fisher@example.com"},
		"Ogham space":               {in: "kim\u1680.fisher@example.com"},
		"line separator":            {in: "kim.fisher@exa\u2028mple.com"},
		"interlinear anchor":        {in: "kim\uFFF9.fisher@example.com"},
		"object replacement":        {in: "kim\uFFFC.fisher@example.com"},
		"replacement character":     {in: "kim\uFFFD.fisher@example.com"},
		"private use":               {in: "kim\uE000.fisher@example.com"},
		"unassigned":                {in: "kim\U000E0FFF.fisher@example.com"},
		"NUL":                       {in: "kim.fisher@example.com\x00"},
		"DEL":                       {in: "kim\x7F.fisher@example.com"},
		"decomposed letter":         {in: "kim.fi\u0301sher@example.com"},
		"soft hyphen in the domain": {in: "kim.fisher@exam\u00ADple.com"},
		"Cyrillic letter":           {in: "kim.fish\u0435r@example.com", distinct: true},
		"Cyrillic letter in domain": {in: "kim.fisher@\u0435xample.com", distinct: true},
		"dotless i":                 {in: "k\u0131m.fisher@example.com", distinct: true},
		"overlaid letter":           {in: "kim\u0338.fisher@example.com", distinct: true},
		"Greek letter":              {in: "\u03BAim.fisher@example.com", distinct: true},
		"accented letter, composed": {in: "k\u00EDm.fisher@example.com", distinct: true},
		"plus tag":                  {in: "kim.fisher+x@example.com", distinct: true},
		"the dot left out":          {in: "kimfisher@example.com", distinct: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, ok := account.EmailKey(c.in)
			if key == victim || ok != c.distinct {
				t.Errorf("%+q has the key %+q; accepted = %v, want %v", c.in, key, ok, c.distinct)
			}
		})
	}
}

// Every letter in either part: the key of a key is itself, and two addresses share a key only if they are the two cases
// of one letter. The planes above the first four contain no letters.
func TestEmailKeysOfAllRunes(t *testing.T) {
	t.Parallel()
	for _, shape := range []string{"a?b@example.com", "joe@a?b.example"} {
		owners := map[string][]rune{}
		for r := rune(0); r < 0x40000; r++ {
			key, ok := account.EmailKey(strings.Replace(shape, "?", string(r), 1))
			if !ok {
				continue
			}
			owners[key] = append(owners[key], r)
			if again, ok := account.EmailKey(key); !ok || again != key {
				t.Errorf("%U: the key of %+q is %+q, %v", r, key, again, ok)
			}
		}
		if len(owners) < 1000 {
			t.Errorf("%s: only %d keys", shape, len(owners))
		}
		for key, rs := range owners {
			if len(rs) > 2 || len(rs) == 2 && unicode.ToLower(rs[0]) != rs[1] && unicode.ToLower(rs[1]) != rs[0] {
				t.Errorf("%+q is shared by %U", key, rs)
			}
		}
	}
}

// Word processors, chats, certificate dialogs and Japanese keyboards add these characters to copied text.
func TestPastedPaddingIsTrimmedEverywhere(t *testing.T) {
	t.Parallel()
	for _, padding := range []string{
		" ", "\t", "\r\n", "\u0085", "\u00A0", "\u1680", "\u2003", "\u2009", "\u202F", "\u205F", "\u3000",
		"\u2028", "\u2029", "\u00AD", "\u180E", "\u200B", "\u200C", "\u200D", "\u200E", "\u200F", "\u061C",
		"\u202A", "\u202C", "\u202D", "\u2060", "\u2063", "\u2066", "\u2069", "\uFEFF",
	} {
		around := func(s string) string { return padding + " " + s + "\u200B" + padding }
		e, problems := account.ParseEmail("p", around("Kim@example.com"))
		if e.Address != "Kim@example.com" || e.Key != "kim@example.com" {
			t.Errorf("%+q around an address: %+q, %v", padding, e, problems)
		}
		if name, problems := account.ParseUsername("p", around("kim")); name != "kim" {
			t.Errorf("%+q around a username: %+q, %v", padding, name, problems)
		}
		if key, ok := account.UsernameKey(around("Kim")); !ok || key != "kim" {
			t.Errorf("%+q around a username to sign in with: %+q", padding, key)
		}
		if name, problems := account.ParseName("p", around("Kim Fisher")); name != "Kim Fisher" {
			t.Errorf("%+q around a name: %+q, %v", padding, name, problems)
		}
		if term := account.Fold(around("Kim Fisher")); term != "kim fisher" {
			t.Errorf("%+q around a search: %+q", padding, term)
		}
	}
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{
		"Joe.Doe@Example.COM", " a@b ", "J\u030C@x", "\u212A@x", `"a"@b`, "a@b.\xff", "Ⱥ@Ⱥ", "İ@x", "\u0345Σ@ΑΣ.gr",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, problems := account.ParseEmail("p", s)
		if (problems == nil) != (e.Key != "") || (problems == nil) != (e.Address != "") {
			t.Fatalf("%+v with %v", e, problems)
		}
		if problems != nil {
			return
		}
		if !strings.Contains(s, e.Address) {
			t.Errorf("the address %+q was changed to %+q", s, e.Address)
		}
		upper := strings.Map(func(r rune) rune { // ASCII only, because other letters may have several capitals
			if 'a' <= r && r <= 'z' {
				r += 'A' - 'a'
			}
			return r
		}, e.Address)
		for _, same := range []string{e.Key, e.Address, " " + e.Address + "\n", upper} {
			if key, ok := account.EmailKey(same); !ok || key != e.Key {
				t.Errorf("the key of %+q is %+q, %v, not %+q", same, key, ok, e.Key)
			}
		}
	})
}

func TestUsername(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, key string
		legal   bool
	}{
		{"joe", "joe", true},
		{"joe.doe_9-x", "joe.doe_9-x", true},
		{strings.Repeat("j", 32), strings.Repeat("j", 32), true},
		{"Joe", "joe", false},
		{"JOE.Z", "joe.z", false},
		{"", "", false},
		{"jo", "", false},
		{strings.Repeat("j", 33), "", false},
		{"joe doe", "", false},
		{"j oe", "", false},
		{"joe\x00", "", false},
		{"joe@x", "", false},
		{"jo\xff", "", false},
		{"jo\x00e", "", false},
		{"jöe", "", false},
		{"j\u043Ee", "", false}, // Cyrillic o
		{"\u212Aim", "", false}, // Kelvin sign, which strings.ToLower maps to k
		{"k\u0130m", "", false}, // which strings.ToLower maps to i
		{"jo\u200De", "", false},
		{"joe' OR 1=1", "", false},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			key, ok := account.UsernameKey(c.in)
			if ok != (c.key != "") || ok && key != c.key {
				t.Errorf("UsernameKey = %q, %v; want %q", key, ok, c.key)
			}
			got, problems := account.ParseUsername("input.username", c.in)
			want := []fault.Reason{fault.UsernameInvalid}
			if c.legal {
				want = nil
			}
			if diff := cmp.Diff(want, reasons(problems)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if c.legal != (got == c.in && got != "") {
				t.Errorf("ParseUsername = %q", got)
			}
		})
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in, want string
		reasons  []fault.Reason
	}{
		"none":                   {"", "", nil},
		"blanks around":          {"\u00A0 Joe Doe\n", "Joe Doe", nil},
		"any script":             {"نوال 👩‍👩‍👧 ਪੰਜਾਬੀ ❤️", "نوال 👩‍👩‍👧 ਪੰਜਾਬੀ ❤️", nil},
		"100 code points":        {strings.Repeat("é", 100), strings.Repeat("é", 100), nil},
		"101 code points":        {strings.Repeat("é", 101), "", []fault.Reason{fault.TooLong}},
		"a line break":           {"Joe\nDoe", "", []fault.Reason{fault.NameInvalid}},
		"a paragraph separator":  {"Joe\u2029Doe", "", []fault.Reason{fault.NameInvalid}},
		"an escape sequence":     {"\x1b[31mJoe", "", []fault.Reason{fault.NameInvalid}},
		"NUL":                    {"Joe\x00", "", []fault.Reason{fault.NameInvalid}},
		"right-to-left override": {"Joe\u202Eeod", "", []fault.Reason{fault.NameInvalid}},
		"an open isolate":        {"Joe\u2067Doe", "", []fault.Reason{fault.NameInvalid}},
		"a joiner that counts":   {"\u0D28\u0D4D\u200D ", "\u0D28\u0D4D\u200D", nil},
		"a flag of tags": {
			"\U0001F3F4\U000E0067\U000E0062\U000E007F",
			"\U0001F3F4\U000E0067\U000E0062\U000E007F",
			nil,
		},
		"invalid UTF-8":         {"Joe\xc3", "", []fault.Reason{fault.NameInvalid}},
		"replacement character": {"Jo\uFFFD", "", []fault.Reason{fault.NameInvalid}},
		"both":                  {strings.Repeat("x\x00", 60), "", []fault.Reason{fault.TooLong, fault.NameInvalid}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := account.ParseName("input.name", c.in)
			if diff := cmp.Diff(c.reasons, reasons(problems)); diff != "" || got != c.want {
				t.Errorf("got %q, want %q; reasons (-want +got):\n%s", got, c.want, diff)
			}
		})
	}
}

func reasons(fields []fault.Field) []fault.Reason {
	var rs []fault.Reason
	for _, f := range fields {
		rs = append(rs, f.Reason)
	}
	return rs
}
