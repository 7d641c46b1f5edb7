package signin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

const (
	preferences         = `{ me { locale notifications { newSignIn security } } }`
	updateProfile       = `mutation($in: UpdateProfileInput!) { updateProfile(input: $in) { locale } }`
	updateNotifications = `mutation($in: UpdateNotificationsInput!) {
		updateNotifications(input: $in) { notifications { newSignIn security } } }`
	signInOptions = `{ signInOptions { methods registration mail verifiedEmail minPasswordLength } }`
)

// answers compares the data of a successful answer.
func answers(t *testing.T, a *apptest.Answer, want string) {
	t.Helper()
	accepted(t, a)
	if diff := cmp.Diff(want, string(a.Data)); diff != "" {
		t.Error(diff)
	}
}

// localeOf returns the language of the newest mail of a kind.
func localeOf(t *testing.T, srv *apptest.Server, kind mail.Kind) (locale string) {
	t.Helper()
	const query = "SELECT locale FROM mail WHERE kind = $1 ORDER BY id DESC LIMIT 1"
	if err := srv.App.DB.Get(t.Context(), &locale, query, kind); err != nil {
		t.Fatal(err)
	}
	return locale
}

func TestMailsAreInTheLanguageOfTheAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := registered(t, srv, input{"email": "jane@example.com", "password": password, "locale": "de_at"})
		answers(t, c.Do(t, preferences, nil), `{"me":{"locale":"de-AT","notifications":{"newSignIn":true,"security":true}}}`)
		if got := localeOf(t, srv, mail.VerifyEmail); got != "de-AT" {
			t.Errorf("the mail has the locale %q", got)
		}
		answers(t, c.Do(t, updateProfile, in(input{"locale": "pt-BR"})), `{"updateProfile":{"locale":"pt-BR"}}`)
		answers(t, c.Do(t, updateProfile, in(input{"name": "Jane"})), `{"updateProfile":{"locale":"pt-BR"}}`)
		accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
		if got := localeOf(t, srv, mail.ResetPassword); got != "pt-BR" {
			t.Errorf("the mail has the locale %q", got)
		}
		for _, wrong := range []string{"und", "German", "de\n", strings.Repeat("a", 36), "xx-\x00"} {
			c.Do(t, updateProfile, in(input{"locale": wrong})).Refused(t, "BAD_USER_INPUT", "MALFORMED")
		}
		answers(t, c.Do(t, updateProfile, in(input{"locale": ""})), `{"updateProfile":{"locale":null}}`)
	}, settings("open", "optional"))
}

func TestASilentRegistrationKeepsItsLanguage(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		accepted(t, tryRegister(t, srv, input{"email": "jane@example.com", "password": password, "locale": "de"}))
		if got := localeOf(t, srv, mail.VerifyEmail); got != "de" {
			t.Errorf("the mail has the locale %q", got)
		}
		accepted(t, do(t, srv, verifyEmail, input{"token": srv.Secret(t, mail.VerifyEmail), "password": password}))
		if n := srv.Count(t, "SELECT count(*) FROM users WHERE locale = 'de'"); n != 1 {
			t.Error("the account has no locale")
		}
	}, settings("silent", "optional"))
}

func TestAnImportKeepsValidLanguages(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		lines := `{"email": "a@example.com", "locale": "de_AT"}
			{"email": "b@example.com", "locale": "the usual"}
			{"email": "c@example.com", "locale": {"language": "de"}}`
		reader := userfile.NewReader(strings.NewReader(lines), userfile.Options{})
		created, problems, err := srv.App.Accounts.Import(t.Context(), reader, apptest.Operator)
		if created != 3 || problems != nil || err != nil {
			t.Fatalf("imported %d: %v %v", created, problems, err)
		}
		var locales []string
		const query = "SELECT COALESCE(locale, '') FROM users ORDER BY email_key"
		if err := srv.App.DB.Select(t.Context(), &locales, query); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"de-AT", "", ""}, locales); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOnlyNoticesOfSignInsCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		off := `{"updateNotifications":{"notifications":{"newSignIn":false,"security":true}}}`
		answers(t, c.Do(t, updateNotifications, in(input{"newSignIn": false})), off)
		answers(t, c.Do(t, updateNotifications, in(input{})), off)
		from := func(ip string) int {
			by := signin.Login{Email: &c.Email, Password: password}
			if _, err := srv.App.SignIn.Login(t.Context(), by, audit.Actor{IP: ip}); err != nil {
				t.Fatal(err)
			}
			return srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.NewSignIn)
		}
		if n := from("192.0.2.1"); n != 0 {
			t.Errorf("%d notices", n)
		}
		accepted(t, c.Do(t, updateNotifications, in(input{"newSignIn": true})))
		if n := from("192.0.2.129"); n != 1 {
			t.Errorf("%d notices once they are on again", n)
		}
		accepted(t, c.Do(t, updateNotifications, in(input{"newSignIn": false})))
		accepted(t, c.Do(t, changePassword, in(input{"currentPassword": password, "newPassword": newPassword})))
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.PasswordChanged); n != 1 {
			t.Errorf("%d notices of the password", n)
		}
	})
}

func TestTheOldAddressLearnsOfItsReplacement(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		accepted(t, c.Do(t, requestChange, in(input{"newEmail": "new@example.com"})))
		notices := func() (to []string) {
			entries, err := srv.App.Mail.List(t.Context(), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Kind == mail.EmailChanged {
					to = append(to, e.To)
				}
			}
			return to
		}
		if to := notices(); to != nil {
			t.Errorf("before the change, %v", to)
		}
		accepted(t, c.Do(t, confirmChange, in(input{"token": srv.Secret(t, mail.EmailChange)})))
		if diff := cmp.Diff([]string{c.Email}, notices()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPageLearnsWhatIsOffered(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"open":   `"PASSWORD","CODE"],"registration":"OPEN","mail":true,"verifiedEmail":true,"minPasswordLength":12`,
		"silent": `"PASSWORD","CODE"],"registration":"SILENT","mail":true,"verifiedEmail":true,"minPasswordLength":12`,
		"invite": `"PASSWORD","CODE"],"registration":"INVITE","mail":true,"verifiedEmail":true,"minPasswordLength":12`,
		"closed": `"PASSWORD","CODE"],"registration":"CLOSED","mail":true,"verifiedEmail":true,"minPasswordLength":12`,
	} {
		srv := apptest.Start(t, settings(mode, "required", "code"), func(o *apptest.Options) { o.Config.PasswordMin = 12 })
		answers(t, srv.Anonymous().Do(t, signInOptions, nil), `{"signInOptions":{"methods":[`+want+`}}`)
	}
	srv := apptest.Start(t, settings("open", "off"), func(o *apptest.Options) { o.Config.Production = true })
	answers(t, srv.Anonymous().Do(t, signInOptions, nil), `{"signInOptions":{"methods":["PASSWORD"],`+
		`"registration":"OPEN","mail":false,"verifiedEmail":false,"minPasswordLength":8}}`)
}
