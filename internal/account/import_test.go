package account_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

// importFile imports text, checks the number of created accounts and returns the problems.
func importFile(t *testing.T, srv *apptest.Server, text string, created int) (problems []string) {
	t.Helper()
	reader := userfile.NewReader(strings.NewReader(text), userfile.Options{})
	n, errs, err := srv.App.Accounts.Import(t.Context(), reader, apptest.Operator)
	if err != nil || n != created {
		t.Fatalf("%d imported, want %d: %v, %v", n, created, errs, err)
	}
	for _, err := range errs {
		problems = append(problems, err.Error())
	}
	return problems
}

// The first login with an imported hash replaces it by one in our format.
func TestLoginUpgradesForeignHashes(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		text := "email,password_hash\n"
		for name, hash := range foreign {
			text += name + "@example.com,\"" + hash + "\"\n"
		}
		importFile(t, srv, text, len(foreign))
		for name, imported := range foreign {
			email := strings.ToLower(name) + "@example.com"
			wrong := tryLogin(t, srv, input{"email": email, "password": "correct horse batteri"})
			wrong.Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			if got := storedHash(t, srv, email); got != imported {
				t.Errorf("a wrong password changed %s to %s", imported, got)
			}
			for range 2 {
				tryLogin(t, srv, input{"email": email, "password": "correct horse battery"}).Into(t, &struct{}{})
				if got := storedHash(t, srv, email); !strings.HasPrefix(got, "gw1$") {
					t.Errorf("%s is still %s", name, got)
				}
			}
		}
	})
}

func TestImportKeepsIDsAndTimes(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		const id = "6f2c1a34-5b7d-4e8f-9a0b-1c2d3e4f5a6b"
		problems := importFile(t, srv, `{"id": "6F2C1A34-5B7D-4E8F-9A0B-1C2D3E4F5A6B", "email": "first@example.com", `+
			`"createdAt": "2019-03-04T05:06:07Z"}
			{"id": "`+id+`", "email": "second@example.com"}
			{"email": "third@example.com", "createdAt": 1551675967}
			{"email": "fourth@example.com"}`, 3)
		want := []string{`line 2 ("second@example.com"): there is already an account with this id`}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Error(diff)
		}
		first, err := srv.App.Accounts.ByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := first.CreatedAt.Std(); first.Email != "first@example.com" || !got.Equal(time.Unix(1551675967, 0)) {
			t.Errorf("%s was created %v", first.Email, got)
		}
		third, err := srv.App.Accounts.Find(t.Context(), "third@example.com")
		if err != nil || !third.CreatedAt.Std().Equal(time.Unix(1551675967, 0)) {
			t.Fatalf("created %v, %v", third, err)
		}
		fourth, err := srv.App.Accounts.Find(t.Context(), "fourth@example.com")
		if err != nil || third.ID >= fourth.ID || third.ID[14] != '7' { // lists are in order of ids
			t.Errorf("%s is not less than %s, %v", third.ID, fourth.ID, err)
		}
	})
}

// Login folds usernames, so the import must store them folded.
func TestImportFoldsUsernames(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		problems := importFile(t, srv, "email;username;password\njoe@example.com; JoeDoe\u00A0;"+foreign["bcrypt"]+
			"\njane@example.com;JANE@example.com;"+foreign["bcrypt"]+
			"\nother@example.com;joedoe;\nthird@example.com;jane@example.com;\n", 2)
		if len(problems) != 2 || !strings.HasPrefix(problems[0], "line 4") || !strings.HasPrefix(problems[1], "line 5") {
			t.Errorf("%q", problems)
		}
		tryLogin(t, srv, input{"username": "JoeDoe", "password": "correct horse battery"}).Into(t, &struct{}{})
		jane, err := srv.App.Accounts.Find(t.Context(), "jane@example.com")
		if err != nil || jane.Username != nil {
			t.Errorf("the address became a username: %v, %v", jane, err)
		}
	})
}

// A hash in the wrong column must not appear as an address, a role or a name.
func TestImportPrintsNoHash(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		var rows []string
		for _, hash := range foreign {
			rows = append(rows, hash+",x,x,x,x", "a@example.com,"+hash+",x,x,x", "a@example.com,x,"+hash+"x,x,x",
				"a@example.com,joe,,"+hash+",x", "a@example.com,joe,,,"+hash)
		}
		problems := importFile(t, srv, "email,username,password,role,id\n"+strings.Join(rows, "\n"), 0)
		if len(problems) != len(rows) {
			t.Errorf("%d problems of %d lines", len(problems), len(rows))
		}
		for _, problem := range problems {
			for name, hash := range foreign {
				if strings.Contains(problem, hash[len(hash)-10:]) {
					t.Errorf("%s: %s", name, problem)
				}
			}
		}
	})
}

// Older rows may have an address that ParseEmail refuses now. The user confirms it by its exact text.
func TestAnImpossibleAddressCanBeConfirmed(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		srv.Update(t, "UPDATE users SET email = $2 WHERE id = $1", c.UserID, "joe@xn--ü.example")
		c.Do(t, deleteAccount, in(input{"confirmEmail": "nothing"})).Refused(t, "BAD_USER_INPUT", "MALFORMED")
		c.Do(t, deleteAccount, in(input{"confirmEmail": " joe@xn--ü.example"})).Into(t, &struct{}{})
		if _, err := srv.App.Accounts.ByID(t.Context(), account.ID(c.UserID)); err == nil {
			t.Error("the account still exists")
		}
	})
}

// foreign are hashes of "correct horse battery", from the tests of package password.
var foreign = map[string]string{
	"Argon2": "$argon2id$v=19$m=64,t=2,p=1$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg",
	"scrypt": "scrypt$16$seasoned12345678901234$2$3$" +
		"nfxdQoUEl3tIMwMdXPM81SFz/3TA8mBZ4VApXrgsCa+Vdeu7jkk6N3shyQo59DCBfAS6RqM4A1wP+BJPlCj7IQ==",
	"PBKDF2": "pbkdf2_sha256$1000$seasoned12345678901234$/7JsJkk2jalE4Z68N45h4+pgYbD6lZGrIykTkeEZol0=",
	"bcrypt": "{bcrypt}$2b$05$6Aw7PoCQFBYRx.Sh7H.14udQa92MbDAwdod2a0l9wykG3FZI15s56",
}

func TestAnInterruptedImportStops(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		text := io.MultiReader(strings.NewReader(`{"email": "a@example.com"}`), interruption(cancel),
			strings.NewReader("\n{\"email\": \"b@example.com\"} {\"email\": \"c@example.com\"}"))
		reader := userfile.NewReader(text, userfile.Options{})
		created, problems, err := srv.App.Accounts.Import(ctx, reader, apptest.Operator)
		stopped := errors.Is(err, context.Canceled) && strings.Contains(err.Error(), "line 2")
		if created != 1 || problems != nil || !stopped {
			t.Errorf("%d created, %v, %v", created, problems, err)
		}
	})
}

// interruption is a reader without text that calls a function when it is read.
type interruption func()

func (i interruption) Read([]byte) (int, error) {
	i()
	return 0, io.EOF
}
