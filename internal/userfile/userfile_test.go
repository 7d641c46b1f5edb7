package userfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

const (
	bcrypt = "$2b$05$6Aw7PoCQFBYRx.Sh7H.14udQa92MbDAwdod2a0l9wykG3FZI15s56"
	uuid   = "6f2c1a34-5b7d-4e8f-9a0b-1c2d3e4f5a6b"
)

// now is later than all times below.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

var created = time.Date(2019, 3, 4, 5, 6, 7, 0, time.UTC)

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// read returns the entries of a file, up to the first error.
func read(t *testing.T, text string, o userfile.Options) (entries []*userfile.Entry, err error) {
	t.Helper()
	o.Now = now
	file := userfile.NewReader(strings.NewReader(text), o)
	for {
		e, err := file.Read()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
}

// users returns the accounts of a file without problems.
func users(t *testing.T, text string, o userfile.Options) (users []userfile.User) {
	t.Helper()
	entries, err := read(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Problem != nil {
			t.Errorf("line %d: %v", e.Line, e.Problem)
		}
		users = append(users, e.User)
	}
	return users
}

var full = userfile.User{
	ID:            uuid,
	Email:         "joe@example.com",
	EmailVerified: true,
	Username:      "joe",
	Name:          `Joe, the "Doe"`,
	PasswordHash:  bcrypt,
	Roles:         []token.Role{"ADMIN", "USER"},
	Disabled:      true,
	CreatedAt:     created,
}

func encodeUTF16(s string, high, low int) string {
	b := make([]byte, 0, 2*len(s))
	for _, unit := range utf16.Encode([]rune("\uFEFF" + s)) {
		pair := [2]byte{}
		pair[high], pair[low] = byte(unit>>8), byte(unit)
		b = append(b, pair[:]...)
	}
	return string(b)
}

func TestFormats(t *testing.T) {
	t.Parallel()
	const at = `"2019-03-04T05:06:07Z"`
	object := fmt.Sprintf(`{"id": "%s", "email": "joe@example.com", "emailVerified": true,
		"username": "joe", "name": "Joe, the \"Doe\"", "passwordHash": "%s", "roles": ["ADMIN", "USER"],
		"disabled": true, "createdAt": %s}`, strings.ToUpper(uuid), bcrypt, at)
	header := "id,email,email_verified,username,name,password_hash,roles,disabled,created_at"
	row := uuid + `,joe@example.com,true,joe,"Joe, the ""Doe""",` + bcrypt + `,ADMIN USER,1,2019-03-04 05:06:07+00`
	semicolons := strings.ReplaceAll(header, ",", ";") + "\n" +
		uuid + `;joe@example.com;t;joe;"Joe, the ""Doe""";` + bcrypt + `;ADMIN,USER;yes;1551675967`
	tabs := strings.ReplaceAll(header, ",", "\t") + "\n" +
		uuid + "\tjoe@example.com\tTRUE\tjoe\t\"Joe, the \"\"Doe\"\"\"\t" + bcrypt + "\tADMIN|USER\t1\t1551675967000"
	otherNames := strings.NewReplacer(
		"password_hash", "Encrypted Password",
		"email,", "E-Mail,",
		"created_at", "date_joined",
	)
	for name, text := range map[string]string{
		"an object":                   object,
		"an array":                    "[" + object + "]",
		"an object with users":        `{"realm": "x", "users": [` + object + `], "clients": [{"id": "y", "users": 1}]}`,
		"CSV":                         header + "\n" + row,
		"CSV with CRLF":               header + "\r\n" + row + "\r\n",
		"CSV with semicolons":         semicolons,
		"CSV with tabs":               tabs,
		"CSV in quotes":               `"` + strings.ReplaceAll(header, ",", `","`) + `"` + "\n" + row,
		"CSV with other names":        otherNames.Replace(header) + "\n" + row,
		"an object after white space": "\n \t" + object + "\n\n",
		"a UTF-8 byte order mark":     "\uFEFF" + object,
		"one before CSV":              "\uFEFF" + header + "\n" + row,
		"UTF-16, little-endian":       encodeUTF16(object, 1, 0),
		"UTF-16, big-endian":          encodeUTF16(header+"\n"+row, 0, 1),
		"Unix times":                  strings.Replace(object, at, "1551675967", 1),
		"times in milliseconds":       strings.Replace(object, at, `"1551675967000"`, 1),
		"times in microseconds":       strings.Replace(object, at, "1551675967000000", 1),
		"times in another zone":       strings.Replace(object, "05:06:07Z", "06:06:07.000+01:00", 1),
		"times of MongoDB":            strings.Replace(object, at, `{"$date": "2019-03-04T05:06:07Z"}`, 1),
		"inverted flags":              strings.Replace(object, `"disabled": true`, `"is_active": 0`, 1),
		"a time of confirmation":      strings.Replace(object, `"emailVerified": true`, `"email_verified_at": "2019"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := users(t, text, userfile.Options{})
			if diff := cmp.Diff([]userfile.User{full}, got, cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExports(t *testing.T) {
	t.Parallel()
	firebase, err := userfile.ParseFirebase(`hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 2,
  mem_cost: 4,
}`)
	if err != nil {
		t.Fatal(err)
	}
	common := userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true}
	keycloak := common
	keycloak.Username, keycloak.Name, keycloak.CreatedAt = "joe", "Joe Doe", created
	aspnet := common
	aspnet.Username = "joe"
	supabase := common
	supabase.CreatedAt = created
	for name, c := range map[string]struct {
		options userfile.Options
		want    userfile.User
	}{
		"auth0.json": {want: userfile.User{Email: "joe@example.com", EmailVerified: true}},
		"firebase.json": {
			options: userfile.Options{Firebase: firebase},
			want: userfile.User{
				Email: "joe@example.com", EmailVerified: true, Name: "Joe Doe", Disabled: true, CreatedAt: created,
			},
		},
		"keycloak-pbkdf2.json": {want: keycloak},
		"keycloak-argon2.json": {want: keycloak},
		"supabase.csv":         {options: userfile.Options{Ignore: []string{"role"}}, want: supabase},
		"aspnet.csv":           {want: aspnet},
		"django.csv": {
			want: userfile.User{
				Email: "joe@example.com", Username: "joe", Name: "Joe Doe", Disabled: true, CreatedAt: created,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := users(t, mustRead(t, "export/"+name), c.options)
			ignoreHash := cmpopts.IgnoreFields(userfile.User{}, "PasswordHash")
			if diff := cmp.Diff([]userfile.User{c.want}, got, cmpopts.EquateApproxTime(0), ignoreHash); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			h, err := password.Parse(got[0].PasswordHash)
			if err != nil || !h.Matches([]byte("correct horse battery")) {
				t.Errorf("the password does not match %s: %v", got[0].PasswordHash, err)
			}
		})
	}
}

func TestProblemsNameTheirLines(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{ // the line and the start of the message
		"problems.json": {
			`1 "rolls": unknown field`,
			`4 "disabled": this is neither`,
			`6 this is not a JSON object`,
			`6 this is not a JSON object`,
			`7 "id": an id must be a UUID`,
			`8 "id": an id must be a UUID`,
			`9 "createdAt": this is not a time`,
			`10 the time of creation: this time is in the future`,
			`11 "createdAt": this is not a time`,
			`12 "email": two fields have different values`,
			`13 "password": two fields have different values`,
			`14 "totp": the account has a second factor`,
			`15 "mfaInfo": the account has a second factor`,
			`16 the hash has a separate salt`,
			`17 "email": this is not a string`,
			`18 "roles": this is not a string`,
			`19 "credentials": the account has a second factor`,
			`20 "credentials": these are not`,
			`21 "name": this is not UTF-8`,
		},
		"problems.csv": {
			`3 "disabled": this is neither`,
			`5 wrong number of fields`,
			`6 bare "`,
			`7 "name": this is not UTF-8`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, err := read(t, mustRead(t, name), userfile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if e.Problem != nil {
					got = append(got, fmt.Sprintf("%d %v", e.Line, e.Problem))
				}
			}
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
					t.Fatalf("problem %d of %q, want %q", i, got, want)
				}
			}
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{\"email\": \"a@example.com\"}\n{\"email\": \"b@example.com\"\n{": "line 3 is not JSON",
		"{\"email\": \"a@example.com\"}\n{\"email\": ":                     "line 2 is not JSON",
		"[{\"email\": \"a@example.com\"},\n":                               "line 1 is not JSON",
		"[{\"email\": \"a@example.com\"}":                                  "line 1 is not JSON",
		`{"users": [{"email": "a@example.com"}]`:                           "line 1 is not JSON",
		`{"users": [{"email": "a@example.com"`:                             "line 1 is not JSON",
		`{"users": 5}`:                                                     "users is not an array",
		"joe@example.com," + bcrypt + "\n":                                 "neither JSON nor CSV with a header row",
		bcrypt:                                                             "neither JSON nor CSV",
		"email,rolls,$2b$05$x\na@example.com":                              `unknown columns "rolls", (not a name)`,
		"email,\"name\na@example.com":                                      "read the header row",
	} {
		_, err := read(t, text, userfile.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		} else if strings.Contains(err.Error(), "$2b$") {
			t.Errorf("%q: the error repeats a hash: %v", text, err)
		}
	}
	if entries, err := read(t, " \n", userfile.Options{}); err != nil || entries != nil {
		t.Errorf("an empty file: %v, %v", entries, err)
	}
}

func TestIgnoredFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	o := userfile.Options{Ignore: []string{"shoe_size", "ID"}}
	for _, text := range []string{
		`{"email": "joe@example.com", "shoeSize": 44, "id": 7}`,
		"email,Shoe Size,id\njoe@example.com,44,7",
	} {
		if diff := cmp.Diff([]userfile.User{{Email: "joe@example.com"}}, users(t, text, o)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseFirebase(t *testing.T) {
	t.Parallel()
	asJSON, err := userfile.ParseFirebase(`{"algorithm": "SCRYPT", "signerKey": "c2lnbmVy",
		"saltSeparator": "Bw==", "rounds": 8, "memoryCost": 14}`)
	if err != nil {
		t.Fatal(err)
	}
	asText, err := userfile.ParseFirebase("hash_config {\r\nbase64_signer_key: c2lnbmVy,\r\n" +
		"base64_salt_separator: Bw==,\r\nrounds: 8,\r\nmem_cost: 14,\r\n}")
	if err != nil || *asText != *asJSON {
		t.Errorf("%+v is not %+v, %v", asText, asJSON, err)
	}
	for _, text := range []string{"", "rounds", "hash_config { rounds: 8, mem_cost: 14 }"} {
		if _, err := userfile.ParseFirebase(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// FuzzRead checks that Read terminates, and that line numbers start at 1 and never decrease.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "{", "[[[", `{"users":[{"email":"a@b"}]}`, "email;name\na@b;x", "\xff\xfe{\x00}\x00",
		`{"credentials":[{"secretData":"{"}]}`, "email\n\"", `[1,{"id":{}}]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, _ := read(t, text, userfile.Options{})
		line := 1
		for _, e := range entries {
			if e.Line < line {
				t.Fatalf("line %d after line %d", e.Line, line)
			}
			line = e.Line
		}
	})
}
