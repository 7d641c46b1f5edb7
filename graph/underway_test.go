package graph_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web"
)

// gate stops a request at one of its root fields, so that a test can change something in the meantime: at the alias
// ahead after its resolver has returned, at the alias held after the guard and before its resolver.
type gate struct{ reached, open chan struct{} }

func (gate) ExtensionName() string                   { return "Gate" }
func (gate) Validate(graphql.ExecutableSchema) error { return nil }
func (g gate) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	switch graphql.GetFieldContext(ctx).Field.Alias {
	case "held":
		g.wait(ctx)
	case "ahead":
		defer g.wait(ctx)
	}
	return next(ctx)
}

func (g gate) wait(ctx context.Context) {
	for _, c := range []chan struct{}{g.reached, g.open} {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// during sends a mutation with a field called held or ahead, and runs f while the mutation waits there.
func (g gate) during(t *testing.T, c *apptest.Client, mutation string, f func()) *apptest.Answer {
	t.Helper()
	answers := make(chan *apptest.Answer, 1)
	go func() {
		answer, err := c.Call(t.Context(), mutation, nil)
		if err != nil {
			t.Error(err)
		}
		answers <- answer
	}()
	select {
	case <-g.reached:
	case answer := <-answers:
		t.Fatalf("%s did not wait: %+v", mutation, answer)
	}
	f()
	<-g.open
	answer := <-answers
	if answer == nil {
		t.FailNow()
	}
	return answer
}

// onBothWithGate is OnBoth for servers with a gate.
func onBothWithGate(t *testing.T, f func(t *testing.T, srv *apptest.Server, g gate)) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		g := gate{make(chan struct{}), make(chan struct{})}
		f(t, apptest.Start(t, apptest.Database(url), func(o *apptest.Options) { o.Extensions = append(o.Extensions, g) }), g)
	})
}

// cast are the users of these tests: she has the role ADMIN and a second session.
type cast struct {
	root, she, second, victim, disabled *apptest.Client
}

func newCast(t *testing.T, srv *apptest.Server) cast {
	t.Helper()
	p := cast{root: srv.As(t, "ADMIN"), victim: srv.As(t), disabled: srv.As(t)}
	p.root.Do(t, disableUser, vars{"id": p.disabled.UserID}).Into(t, &struct{}{})
	return p.withAnother(t, srv)
}

// withAnother is the cast with another her. The rights of the first are gone; those of the others are unchanged.
func (p cast) withAnother(t *testing.T, srv *apptest.Server) cast {
	t.Helper()
	p.she = srv.As(t, "ADMIN")
	p.second = p.she.Login(t)
	return p
}

// takings are the ways to revoke a right of hers, each with the reason for which her token is then refused.
var takings = []struct {
	name, reason string
	take         func(t *testing.T, p cast)
}{
	{"her sessions were ended", "TOKEN_REVOKED", func(t *testing.T, p cast) {
		p.second.Do(t, `mutation { logout(input: {scope: ALL}) { endedSessions } }`, nil).Into(t, &struct{}{})
	}},
	{"this session was ended", "TOKEN_REVOKED", func(t *testing.T, p cast) {
		p.second.Do(
			t, `mutation($id: ID!) { revokeSession(input: {id: $id}) { id } }`, vars{"id": p.she.SessionID},
		).Into(t, &struct{}{})
	}},
	{"her password was changed", "TOKEN_REVOKED", func(t *testing.T, p cast) {
		p.second.Do(t, `mutation { changePassword(input: {currentPassword: "`+apptest.Password+`", newPassword: "not what it was before"}) { tokenType } }`, nil).
			Into(t, &struct{}{})
	}},
	{"a role was taken from her", "TOKEN_STALE", func(t *testing.T, p cast) {
		p.root.Do(t, setRoles, vars{"id": p.she.UserID, "roles": []string{}}).Into(t, &struct{}{})
	}},
	{"she was disabled", "TOKEN_REVOKED", func(t *testing.T, p cast) {
		p.root.Do(t, disableUser, vars{"id": p.she.UserID}).Into(t, &struct{}{})
	}},
	{"she was deleted", "TOKEN_REVOKED", func(t *testing.T, p cast) {
		p.root.Do(t, deleteUser, vars{"id": p.she.UserID}).Into(t, &struct{}{})
	}},
}

// acts are all mutations that need a token, as she would call them.
func acts(t *testing.T, p cast) map[string]string {
	t.Helper()
	acts := map[string]string{
		"updateProfile": `updateProfile(input: {name: "Eve"}) { id }`,
		"changePassword": fmt.Sprintf(
			`changePassword(input: {currentPassword: %q, newPassword: "another unlikely passphrase"}) { tokenType }`,
			apptest.Password,
		),
		"exportAccount":  `exportAccount { at }`,
		"deleteAccount":  fmt.Sprintf(`deleteAccount(input: {confirmEmail: %q}) { id }`, p.she.Email),
		"logout":         `logout(input: {scope: ALL}) { endedSessions }`,
		"reauthenticate": fmt.Sprintf(`reauthenticate(input: {password: %q}) { tokenType }`, apptest.Password),
		"revokeSession":  fmt.Sprintf(`revokeSession(input: {id: %q}) { id }`, p.second.SessionID),
		"setRoles":       fmt.Sprintf(`setRoles(input: {id: %q, roles: [ADMIN]}) { id }`, p.victim.UserID),
		"disableUser":    fmt.Sprintf(`disableUser(input: {id: %q}) { id }`, p.victim.UserID),
		"enableUser":     fmt.Sprintf(`enableUser(input: {id: %q}) { id }`, p.disabled.UserID),
		"revokeSessions": fmt.Sprintf(`revokeSessions(input: {userId: %q}) { endedSessions }`, p.victim.UserID),
		"deleteUser":     fmt.Sprintf(`deleteUser(input: {id: %q}) { id }`, p.victim.UserID),

		"updateNotifications": `updateNotifications(input: {newSignIn: false}) { id }`,

		"requestEmailVerification": `requestEmailVerification { accepted }`,
		"requestEmailChange":       `requestEmailChange(input: {newEmail: "eve@example.net"}) { accepted }`,
		"requirePasswordChange":    fmt.Sprintf(`requirePasswordChange(input: {id: %q}) { id }`, p.victim.UserID),

		"inviteUser":       `inviteUser(input: {email: "mallory@example.net", roles: [ADMIN]}) { invitation { id } }`,
		"resendInvitation": `resendInvitation(input: {id: "unknown"}) { invitation { id } }`,
		"revokeInvitation": `revokeInvitation(input: {id: "unknown"}) { invitation { id } }`,

		"beginTotp":               `beginTotp { uri }`,
		"confirmTotp":             `confirmTotp(input: {code: "000000"}) { codes }`,
		"disableTotp":             `disableTotp { id }`,
		"regenerateRecoveryCodes": `regenerateRecoveryCodes { codes }`,
		"resetFactors":            fmt.Sprintf(`resetFactors(input: {userId: %q}) { id }`, p.victim.UserID),

		"beginPasskeyReauthentication": `beginPasskeyReauthentication { challenge }`,
		"beginPasskeyRegistration":     `beginPasskeyRegistration { challenge }`,
		"renamePasskey":                `renamePasskey(input: {id: "unknown", name: "x"}) { id }`,
		"deletePasskey":                `deletePasskey(input: {id: "unknown"}) { id }`,
		"removePassword":               `removePassword { id }`,
	}
	ours := []string{ // a team owns others
		"schema/account.graphqls", "schema/admin.graphqls", "schema/factors.graphqls", "schema/invitation.graphqls",
		"schema/mail.graphqls", "schema/passkeys.graphqls", "schema/session.graphqls",
	}
	for _, field := range sdl(t).Mutation.Fields {
		if field.Name == "finishPasskeyRegistration" {
			continue // without the response of an authenticator it ends before its transaction
		}
		_, isListed := acts[field.Name]
		if !isListed && field.Directives.ForName("public") == nil && slices.Contains(ours, field.Position.Src.Name) {
			t.Errorf("add the mutation %s to acts, to test it after a revocation", field.Name)
		}
	}
	return acts
}

// stored is everything that an act can change.
func stored(t *testing.T, srv *apptest.Server) (all []string) {
	t.Helper()
	for _, query := range []string{
		"SELECT id || ' ' || email || ' ' || name || ' ' || roles || ' ' || password_hash || ' ' || CAST(version AS TEXT) || ' ' || CAST(COALESCE(disabled_at, 0) AS TEXT) || ' ' || CAST(notify_sign_in AS TEXT) FROM users ORDER BY id",
		"SELECT id || ' ' || salt || ' ' || CAST(generation AS TEXT) || ' ' || CAST(auth_time AS TEXT) || ' ' || CAST(COALESCE(revoked_at, 0) AS TEXT) FROM sessions ORDER BY id",
		"SELECT id || ' ' || action FROM audit_log ORDER BY id",
		"SELECT id || ' ' || kind FROM mail ORDER BY id",
		"SELECT id || ' ' || kind FROM challenges ORDER BY id",
	} {
		var rows []string
		if err := srv.App.DB.Select(t.Context(), &rows, query); err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}

// refusedFor checks that an answer has an error for the field at path, with the given reason.
func refusedFor(t *testing.T, answer *apptest.Answer, path, reason string) {
	t.Helper()
	if !slices.ContainsFunc(answer.Errors, func(e apptest.Error) bool {
		return len(e.Path) == 1 && e.Path[0] == path && e.Extensions.Reason == reason
	}) {
		t.Errorf("%s was not refused for %s: %d %s", path, reason, answer.Status, answer.Body)
	}
}

// A mutation runs its fields in order. A right revoked during one field is gone for the next.
func TestRightsRevokedDuringARequestAreGoneForItsNextField(t *testing.T) {
	t.Parallel()
	onBothWithGate(t, func(t *testing.T, srv *apptest.Server, g gate) {
		for _, attack := range []struct {
			name, taking string
			act          func(p cast) string
		}{
			{"an administrator gives a role back to herself", "a role was taken from her", func(p cast) string {
				return fmt.Sprintf(`setRoles(input: {id: %q, roles: [ADMIN]}) { id }`, p.she.UserID)
			}},
			{"a disabled administrator enables herself", "she was disabled", func(p cast) string {
				return fmt.Sprintf(`enableUser(input: {id: %q}) { id }`, p.she.UserID)
			}},
			{"a session writes after logout of all", "her sessions were ended", func(cast) string {
				return `updateProfile(input: {name: "Eve"}) { id }`
			}},
		} {
			for _, taking := range takings {
				if taking.name != attack.taking {
					continue
				}
				t.Run(attack.name, func(t *testing.T) {
					p := newCast(t, srv)
					var before []string
					mutation := fmt.Sprintf(
						"mutation { ahead: reauthenticate(input: {password: %q}) { tokenType } x: %s }", apptest.Password, attack.act(p),
					)
					answer := g.during(t, p.she, mutation, func() {
						taking.take(t, p)
						before = stored(t, srv)
					})
					refusedFor(t, answer, "x", taking.reason)
					if diff := cmp.Diff(before, stored(t, srv)); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	})
}

// After the guard has allowed a field, its transaction reads the caller's rights again.
func TestActsAreRefusedIfRightsAreRevokedAfterTheGuard(t *testing.T) {
	t.Parallel()
	onBothWithGate(t, func(t *testing.T, srv *apptest.Server, g gate) {
		for _, taking := range takings {
			t.Run(taking.name, func(t *testing.T) {
				p := newCast(t, srv)
				for name := range acts(t, p) {
					t.Run(name, func(t *testing.T) {
						p := p.withAnother(t, srv)
						var before []string
						answer := g.during(t, p.she, "mutation { held: "+acts(t, p)[name]+" }", func() {
							taking.take(t, p)
							before = stored(t, srv)
						})
						answer.Refused(t, "UNAUTHENTICATED", taking.reason)
						if diff := cmp.Diff(before, stored(t, srv)); diff != "" {
							t.Error(diff)
						}
					})
				}
			})
		}
	})
}

// deafReplica starts a server on another's database, whose view of revocations is read only once. Its clock stands
// still, so that the view does not look old.
func deafReplica(t *testing.T, of *apptest.Server) *apptest.Server {
	t.Helper()
	now := time.Now()
	a, err := app.Open(
		t.Context(), of.App.Config, app.Migrates, func() time.Time { return now }, slog.New(slog.DiscardHandler),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.View.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := a.Handler(web.NewHealth(a.Ready))
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(handler)
	t.Cleanup(func() {
		listener.Close()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return &apptest.Server{App: a, URL: listener.URL}
}

// Another replica may answer queries for up to a second after a revocation, but it refuses every act immediately.
func TestAReplicaWithoutTheRevocationRefusesActs(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for _, taking := range takings[:5] { // without deletion, after which queries fail too
			t.Run(taking.name, func(t *testing.T) {
				p := newCast(t, srv)
				there := *p.she
				there.Server = deafReplica(t, srv)
				taking.take(t, p)
				before := stored(t, srv)
				there.Do(t, `{ me { id } }`, nil).Into(t, &struct{}{}) // the replica does not know the revocation yet
				for name, act := range acts(t, p) {
					answer := there.Do(t, "mutation { "+act+" }", nil)
					if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Reason != taking.reason {
						t.Errorf("%s: want %s, got %d %s", name, taking.reason, answer.Status, answer.Body)
					}
				}
				if diff := cmp.Diff(before, stored(t, srv)); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}
