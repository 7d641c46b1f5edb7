package userfile_test

import (
	"errors"
	"fmt"
	"io"
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

// read returns all entries of a file, and the error that ended it.
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

// users are those of a file in which nothing is wrong.
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

var full = userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true, Username: "joe", Name: "Joe, the \"Doe\"", PasswordHash: bcrypt,
	Roles: []token.Role{"ADMIN", "USER"}, Disabled: true, CreatedAt: created}

func encodeUTF16(s string, high, low int) string {
	b := make([]byte, 0, 2*len(s))
	for _, unit := range utf16.Encode([]rune("\uFEFF" + s)) {
		pair := [2]byte{}
		pair[high], pair[low] = byte(unit>>8), byte(unit)
		b = append(b, pair[:]...)
	}
	return string(b)
}

func TestShapesOfFiles(t *testing.T) {
	t.Parallel()
	object := fmt.Sprintf(`{"id": "%s", "email": "joe@example.com", "emailVerified": true, "username": "joe", "name": "Joe, the \"Doe\"",
		"passwordHash": "%s", "roles": ["ADMIN", "USER"], "disabled": true, "createdAt": "2019-03-04T05:06:07Z"}`, strings.ToUpper(uuid), bcrypt)
	header := "id,email,email_verified,username,name,password_hash,roles,disabled,created_at"
	row := uuid + `,joe@example.com,true,joe,"Joe, the ""Doe""",` + bcrypt + `,ADMIN USER,1,2019-03-04 05:06:07+00`
	semicolons := strings.ReplaceAll(header, ",", ";") + "\n" + uuid + `;joe@example.com;t;joe;"Joe, the ""Doe""";` + bcrypt + `;ADMIN,USER;yes;1551675967`
	tabs := strings.ReplaceAll(header, ",", "\t") + "\n" + uuid + "\tjoe@example.com\tTRUE\tjoe\t\"Joe, the \"\"Doe\"\"\"\t" + bcrypt + "\tADMIN|USER\t1\t1551675967000"
	for name, text := range map[string]string{
		"an object":                  object,
		"an array":                   "[" + object + "]",
		"an object with users":       `{"realm": "x", "users": [` + object + `], "clients": [{"id": "y", "users": 1}]}`,
		"CSV":                        header + "\n" + row,
		"CSV with CRLF":              header + "\r\n" + row + "\r\n",
		"CSV with semicolons":        semicolons,
		"CSV with tabs":              tabs,
		"CSV in quotes":              `"` + strings.ReplaceAll(header, ",", `","`) + `"` + "\n" + row,
		"CSV of other names":         strings.NewReplacer("password_hash", "Encrypted Password", "email,", "E-Mail,", "created_at", "date_joined").Replace(header) + "\n" + row,
		"an object after blanks":     "\n \t" + object + "\n\n",
		"a UTF-8 byte order mark":    "\uFEFF" + object,
		"that before CSV":            "\uFEFF" + header + "\n" + row,
		"UTF-16, little end first":   encodeUTF16(object, 1, 0),
		"UTF-16, big end first":      encodeUTF16(header+"\n"+row, 0, 1),
		"times in the Unix way":      strings.Replace(object, `"2019-03-04T05:06:07Z"`, "1551675967", 1),
		"times in milliseconds":      strings.Replace(object, `"2019-03-04T05:06:07Z"`, `"1551675967000"`, 1),
		"times in microseconds":      strings.Replace(object, `"2019-03-04T05:06:07Z"`, "1551675967000000", 1),
		"times of another zone":      strings.Replace(object, "05:06:07Z", "06:06:07.000+01:00", 1),
		"times of MongoDB":           strings.Replace(object, `"2019-03-04T05:06:07Z"`, `{"$date": "2019-03-04T05:06:07Z"}`, 1),
		"flags turned round":         strings.Replace(object, `"disabled": true`, `"is_active": 0`, 1),
		"the time of a confirmation": strings.Replace(object, `"emailVerified": true`, `"email_verified_at": "2019-03-04"`, 1),
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
	keycloak := func(secret, data string) string {
		return `{"realm": "demo", "users": [{"id": "` + uuid + `", "createdTimestamp": 1551675967000, "username": "joe", "enabled": true, "totp": false,
			"emailVerified": true, "firstName": "Joe", "lastName": "Doe", "email": "joe@example.com", "requiredActions": [], "notBefore": 0,
			"credentials": [{"id": "x", "type": "password", "createdDate": 1, "secretData": ` + secret + `, "credentialData": ` + data + `}]}]}`
	}
	for name, c := range map[string]struct {
		text   string
		o      userfile.Options
		want   userfile.User
		secret string
	}{
		"Auth0": {text: `{"_id": {"$oid": "60425dc43519d90068f82973"}, "email_verified": true, "email": "joe@example.com", "passwordHash": "` + bcrypt + `",
			"password_set_date": {"$date": "2021-03-05T16:35:16.775Z"}, "tenant": "demo", "connection": "Users", "_tmp_is_unique": true, "user_id": "auth0|60425dc43519d90068f82973"}`,
			want: userfile.User{Email: "joe@example.com", EmailVerified: true}},
		"Firebase": {text: `{"users": [{"localId": "abcdefghijklmnopqrstuvwxyz12", "email": "joe@example.com", "emailVerified": true, "salt": "42xEC+ixf3L2lw==",
			"passwordHash": "kFMlcaIjEvY+0cCyaiqYNE1N5npS3AZGBJd9h94Lh+0ra4ORUREWXkCJaSw4FRzVgGOzpl3Fmol85qzwoh4QnA==", "displayName": "Joe Doe",
			"lastSignedInAt": "1551675968000", "createdAt": "1551675967000", "disabled": true, "providerUserInfo": [{"providerId": "x"}]}]}`,
			o:    userfile.Options{Firebase: firebase},
			want: userfile.User{Email: "joe@example.com", EmailVerified: true, Name: "Joe Doe", Disabled: true, CreatedAt: created}},
		"Keycloak with PBKDF2": {text: keycloak(`"{\"value\":\"yxQLxIHrlpxRPmc/z+vAUbbFImW9hhh9Bao09ZoQ65g=\",\"salt\":\"c2Vhc29uZWT//v0xMjM0NQ==\",\"additionalParameters\":{}}"`,
			`"{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"`),
			want: userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true, Username: "joe", Name: "Joe Doe", CreatedAt: created}},
		"Keycloak with Argon2": {text: keycloak(`{"value": "A9qjp4DZ9W0eDMvpy5YJQg==", "salt": "c2Vhc29uZWQxMjM0NTY3OA=="}`,
			`"{\"hashIterations\":2,\"algorithm\":\"argon2\",\"additionalParameters\":{\"hashLength\":[\"16\"],\"memory\":[\"64\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}"`),
			want: userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true, Username: "joe", Name: "Joe Doe", CreatedAt: created}},
		"Supabase": {text: "instance_id,id,aud,role,email,encrypted_password,email_confirmed_at,last_sign_in_at,raw_user_meta_data,is_super_admin,created_at,updated_at,confirmed_at,banned_until,deleted_at,is_sso_user\n" +
			"00000000-0000-0000-0000-000000000000," + uuid + ",authenticated,authenticated,joe@example.com," + bcrypt + `,2020-01-01 00:00:00.1+00,,"{""a"": 1}",,2019-03-04 05:06:07.000000+00,2020-01-01 00:00:00+00,2020-01-01 00:00:00.1+00,,\N,false` + "\n",
			o:    userfile.Options{Ignore: []string{"role"}},
			want: userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true, CreatedAt: created}},
		"ASP.NET Identity": {text: "Id,UserName,NormalizedUserName,Email,NormalizedEmail,EmailConfirmed,PasswordHash,SecurityStamp,ConcurrencyStamp,PhoneNumber,PhoneNumberConfirmed,TwoFactorEnabled,LockoutEnabled,AccessFailedCount\n" +
			uuid + ",joe,JOE,joe@example.com,JOE@EXAMPLE.COM,1,AQAAAAEAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==,x,y,\\N,0,0,1,0\n",
			want: userfile.User{ID: uuid, Email: "joe@example.com", EmailVerified: true, Username: "joe"}},
		"Django": {text: "email,username,first_name,last_name,password,is_staff,is_superuser,is_active,last_login,date_joined\n" +
			"joe@example.com,joe,Joe,Doe,pbkdf2_sha256$1000$seasoned12345678901234$/7JsJkk2jalE4Z68N45h4+pgYbD6lZGrIykTkeEZol0=,f,f,f,,2019-03-04 05:06:07+00:00\n",
			want: userfile.User{Email: "joe@example.com", Username: "joe", Name: "Joe Doe", Disabled: true, CreatedAt: created}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := users(t, c.text, c.o)
			if diff := cmp.Diff([]userfile.User{c.want}, got, cmpopts.EquateApproxTime(0), cmpopts.IgnoreFields(userfile.User{}, "PasswordHash")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if h, err := password.Parse(got[0].PasswordHash); err != nil || !h.Matches([]byte("correct horse battery")) {
				t.Errorf("its password does not match %s: %v", got[0].PasswordHash, err)
			}
		})
	}
}

func TestProblemsNameTheirLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string // of the entries with a problem: the line, and what the message says
	}{
		"JSON": {`{"email": "a@example.com", "rolls": ["ADMIN"]}
{"email": "b@example.com",
 "name": "over two lines"}
{"email": "c@example.com", "disabled": "yes"}

5 "x"
{"email": "d@example.com", "id": 7}
{"email": "e@example.com", "id": "` + uuid + `x"}
{"email": "f@example.com", "createdAt": "yesterday"}
{"email": "g@example.com", "createdAt": "2027-11-27T12:00:00Z"}
{"email": "h@example.com", "createdAt": -1}
{"email": "i@example.com", "email": "j@example.com"}
{"email": "k@example.com", "hash": "` + bcrypt + `", "password": "$2b$05$other"}
{"email": "l@example.com", "totp": true}
{"email": "m@example.com", "mfaInfo": [{"x": 1}]}
{"email": "n@example.com", "passwordHash": "x", "salt": "y"}
{"email": ["o@example.com"]}
{"email": "p@example.com", "roles": [{}]}
{"email": "q@example.com", "credentials": [{"type": "otp"}]}
{"email": "r@example.com", "credentials": "secret"}
{"email": "s@example.com", "name": "` + "\xe9" + `"}
{"email": "t@example.com", "rolls": [], "attributes": {"x": ["y"]}}`, []string{
			`1 "rolls": there is no place`, `4 "disabled": this is neither`, `6 this is not a JSON object`, `6 this is not a JSON object`,
			`7 "id": an id must be a UUID`, `8 "id": an id must be a UUID`, `9 "createdAt": this is not a time`, `10 the time of creation: this time has not come`, `11 "createdAt": this is not a time`,
			`12 "email": the account has this already`, `13 "password": the account has this already`, `14 "totp": the account has a second factor`, `15 "mfaInfo": the account has a second factor`,
			`16 the hash has a salt beside it`, `17 "email": this is not a text`, `18 "roles": this is not a text`, `19 "credentials": the account has a second factor`, `20 "credentials": these are not`,
			`21 "name": this is not UTF-8`,
		}},
		"CSV": {"email,name,disabled\na@example.com,A,no\nb@example.com,\"over\ntwo lines\",maybe\nc@example.com,C\nd@example.com,D\"D,no\ne@example.com,\xe9,no\n\nf@example.com,F,0\n", []string{
			`3 "disabled": this is neither`, `5 wrong number of fields`, `6 bare "`, `7 "name": this is not UTF-8`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, err := read(t, c.text, userfile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if e.Problem != nil {
					got = append(got, fmt.Sprintf("%d %v", e.Line, e.Problem))
				}
			}
			for i := range max(len(got), len(c.want)) {
				if i >= len(got) || i >= len(c.want) || !strings.HasPrefix(got[i], c.want[i]) {
					t.Fatalf("problem %d of %q, want %q", i, got, c.want)
				}
			}
		})
	}
}

// A file that cannot be read further ends with an error.
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
		"joe@example.com," + bcrypt + "\n":                                 "neither JSON nor CSV with a header row that names a column email",
		bcrypt:                                                             "neither JSON nor CSV",
		"email,rolls,$2b$05$x\na@example.com":                              `there is no place for the columns "rolls", (not a name)`,
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

func TestIgnoredFieldsAreLeftOut(t *testing.T) {
	t.Parallel()
	o := userfile.Options{Ignore: []string{"shoe_size", "ID"}}
	for _, text := range []string{`{"email": "joe@example.com", "shoeSize": 44, "id": 7}`, "email,Shoe Size,id\njoe@example.com,44,7"} {
		if diff := cmp.Diff([]userfile.User{{Email: "joe@example.com"}}, users(t, text, o)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseFirebase(t *testing.T) {
	t.Parallel()
	asJSON, err := userfile.ParseFirebase(`{"algorithm": "SCRYPT", "signerKey": "c2lnbmVy", "saltSeparator": "Bw==", "rounds": 8, "memoryCost": 14}`)
	if err != nil {
		t.Fatal(err)
	}
	asText, err := userfile.ParseFirebase("hash_config {\r\nbase64_signer_key: c2lnbmVy,\r\nbase64_salt_separator: Bw==,\r\nrounds: 8,\r\nmem_cost: 14,\r\n}")
	if err != nil || *asText != *asJSON {
		t.Errorf("%+v is not %+v, %v", asText, asJSON, err)
	}
	for _, text := range []string{"", "rounds", "hash_config { rounds: 8, mem_cost: 14 }"} {
		if _, err := userfile.ParseFirebase(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// FuzzRead checks that reading any text ends, and that line numbers start at 1 and never decrease.
func FuzzRead(f *testing.F) {
	for _, text := range []string{"", "{", "[[[", `{"users":[{"email":"a@b"}]}`, "email;name\na@b;x", "\xff\xfe{\x00}\x00", `{"credentials":[{"secretData":"{"}]}`, "email\n\"", `[1,{"id":{}}]`} {
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
