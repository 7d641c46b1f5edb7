package signin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	invitationFields = `{ id email roles message invitedBy { id } state }`
	inviteUser       = `mutation($in: InviteUserInput!) { inviteUser(input: $in) { invitation ` + invitationFields + ` } }`
	resendInvitation = `mutation($in: ResendInvitationInput!) {
		resendInvitation(input: $in) { invitation ` + invitationFields + ` } }`
	revokeInvitation = `mutation($in: RevokeInvitationInput!) {
		revokeInvitation(input: $in) { invitation ` + invitationFields + ` } }`
	acceptInvitation = `mutation($in: AcceptInvitationInput!) { acceptInvitation(input: $in) ` + apptest.AuthFields + ` }`
	invitations      = `{ invitations { totalCount nodes ` + invitationFields + ` } }`
)

type invitation struct {
	ID, Email string
	Roles     []string
	Message   string
	InvitedBy *struct{ ID string }
	State     string
}

// invite lets c invite an address, and returns the id of the invitation and the token of its link.
func invite(t *testing.T, c *apptest.Client, fields input) (id, link string) {
	t.Helper()
	var out struct {
		InviteUser struct{ Invitation invitation }
	}
	c.Do(t, inviteUser, in(fields)).Into(t, &out)
	links := c.Server.Secrets(t, mail.Invitation)
	return out.InviteUser.Invitation.ID, links[len(links)-1]
}

// states returns the states of all invitations, the newest first.
func states(t *testing.T, admin *apptest.Client) string {
	t.Helper()
	var out struct {
		Invitations struct {
			TotalCount int
			Nodes      []invitation
		}
	}
	admin.Do(t, invitations, nil).Into(t, &out)
	var list []string
	for _, one := range out.Invitations.Nodes {
		list = append(list, one.State)
	}
	if out.Invitations.TotalCount != len(list) {
		t.Errorf("%d of %d invitations", len(list), out.Invitations.TotalCount)
	}
	return strings.Join(list, " ")
}

// added returns a client of an account that the command line has added.
func added(t *testing.T, srv *apptest.Server, roles ...token.Role) *apptest.Client {
	t.Helper()
	by := account.Registration{Email: "root@example.com", Password: apptest.Password}
	if _, err := srv.App.Accounts.Add(t.Context(), by, roles, apptest.Operator); err != nil {
		t.Fatal(err)
	}
	srv.Update(t, "UPDATE users SET email_verified = TRUE")
	c := srv.Anonymous()
	c.Email = by.Email
	return c.Login(t)
}

func accept(t *testing.T, srv *apptest.Server, link string) *apptest.Answer {
	t.Helper()
	return do(t, srv, acceptInvitation, input{"token": link, "password": password})
}

func TestAnInvitationCreatesAnAccount(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"open", "silent", "invite", "closed"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				admin := added(t, srv, token.Role("ADMIN"))
				var out struct {
					InviteUser struct{ Invitation invitation }
				}
				fields := input{"email": " Kim@example.com", "roles": []string{"ADMIN"}, "message": "Hello,\r\nKim"}
				admin.Do(t, inviteUser, in(fields)).Into(t, &out)
				sent := invitation{ID: out.InviteUser.Invitation.ID, Email: "Kim@example.com", Roles: []string{"ADMIN", "USER"},
					Message: "Hello,\nKim", InvitedBy: &struct{ ID string }{string(admin.UserID)}, State: "PENDING"}
				if diff := cmp.Diff(sent, out.InviteUser.Invitation); diff != "" {
					t.Error(diff)
				}
				link := srv.Secret(t, mail.Invitation)
				do(t, srv, acceptInvitation, input{"token": link, "password": "short"}).
					Refused(t, "BAD_USER_INPUT", "PASSWORD_TOO_SHORT")
				do(t, srv, verifyEmail, input{"token": link, "password": password}).
					Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
				kim := srv.Anonymous()
				var in struct{ AcceptInvitation apptest.Auth }
				do(t, srv, acceptInvitation, input{"token": link, "password": password, "username": "kim", "name": "Kim"}).
					Into(t, &in)
				kim.Take(in.AcceptInvitation)
				claims, err := srv.App.Verifier.Verify(kim.AccessToken)
				if err != nil || !claims.EmailVerified || !claims.HasRole("ADMIN") || strings.Join(claims.Methods, " ") != "pwd" {
					t.Errorf("%+v %v", claims, err)
				}
				accept(t, srv, link).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
				accepted(t, tryLogin(t, srv, input{"email": "kim@example.com", "password": password}))
				if got := states(t, kim); got != "ACCEPTED" {
					t.Error(got)
				}
				var actions []audit.Action
				err = srv.App.DB.Select(t.Context(), &actions,
					`SELECT action FROM audit_log WHERE action LIKE '%invit%' ORDER BY id`)
				want := []audit.Action{audit.UserInvited, audit.InvitationAccepted}
				if diff := cmp.Diff(want, actions); err != nil || diff != "" {
					t.Error(err, diff)
				}
			}, settings(mode, "required"))
		})
	}
}

func TestRegistrationCanNeedAnInvitation(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, settings("invite", "off"))
	tryRegister(t, srv, input{"email": "jane@example.com", "password": password}).Refused(t, "FORBIDDEN", "NOT_OFFERED")
}

func TestOnlyTheLatestInvitationOfAnAddressCounts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		_, first := invite(t, admin, input{"email": "kim@example.com", "roles": []string{"ADMIN"}})
		_, second := invite(t, admin, input{"email": "KIM@example.com"})
		accept(t, srv, first).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		accepted(t, accept(t, srv, second))
		if n := srv.Count(t, "SELECT count(*) FROM users WHERE roles = 'USER'"); n != 1 {
			t.Error("the roles are those of the first invitation")
		}
		if got := states(t, admin); got != "ACCEPTED" {
			t.Error(got)
		}
	})
}

func Test32InvitationsOfAnAddressAreOne(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		var group errgroup.Group
		for range 32 {
			group.Go(func() error {
				a, err := admin.Call(t.Context(), inviteUser, in(input{"email": "kim@example.com"}))
				if err == nil && len(a.Errors) > 0 {
					err = fmt.Errorf("%s", a.Body)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := states(t, admin); got != "PENDING" {
			t.Error(got)
		}
		if n := srv.Count(t, "SELECT count(*) FROM challenges WHERE kind = 'invitation'"); n != 1 {
			t.Errorf("%d links are valid", n)
		}
	})
}

func TestAnInvitationIsSentAgain(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		id, first := invite(t, admin, input{"email": "kim@example.com"})
		srv.Update(t, "UPDATE invitations SET expires_at = now_us()")
		accept(t, srv, first).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		if got := states(t, admin); got != "EXPIRED" {
			t.Error(got)
		}
		other := srv.As(t, "ADMIN")
		var out struct {
			ResendInvitation struct{ Invitation invitation }
		}
		other.Do(t, resendInvitation, in(input{"id": id})).Into(t, &out)
		if got := out.ResendInvitation.Invitation; got.State != "PENDING" || got.InvitedBy.ID != string(other.UserID) {
			t.Errorf("%+v", got)
		}
		links := srv.Secrets(t, mail.Invitation)
		if len(links) != 2 || links[0] == links[1] {
			t.Fatalf("%d links", len(links))
		}
		accepted(t, accept(t, srv, first)) // both links lead to the same mailbox
		accept(t, srv, links[1]).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		other.Do(t, resendInvitation, in(input{"id": id})).Refused(t, "NOT_FOUND", "INVITATION_NOT_FOUND")
	})
}

func TestAnInvitationIsRevoked(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		id, link := invite(t, admin, input{"email": "kim@example.com"})
		accepted(t, admin.Do(t, revokeInvitation, in(input{"id": id})))
		accept(t, srv, link).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		for _, mutation := range []string{revokeInvitation, resendInvitation} {
			for _, id := range []string{id, "\x00"} {
				admin.Do(t, mutation, in(input{"id": id})).Refused(t, "NOT_FOUND", "INVITATION_NOT_FOUND")
			}
		}
		if got := states(t, admin); got != "REVOKED" {
			t.Error(got)
		}
	})
}

// An attacker who was an administrator for a while must not come back by an invitation.
func TestInvitationsEndWithTheirAdministrator(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(srv *apptest.Server, c *apptest.Client) error{
		"demoted": func(srv *apptest.Server, c *apptest.Client) error {
			_, err := srv.App.Accounts.SetRoles(t.Context(), c.UserID, nil, apptest.Operator)
			return err
		},
		"disabled": func(srv *apptest.Server, c *apptest.Client) error {
			_, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator)
			return err
		},
		"deleted": func(srv *apptest.Server, c *apptest.Client) error {
			return srv.App.Accounts.Remove(t.Context(), c.UserID, apptest.Operator)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				admin, other := srv.As(t, "ADMIN"), srv.As(t, "ADMIN")
				_, link := invite(t, admin, input{"email": "kim@example.com", "roles": []string{"ADMIN"}})
				_, kept := invite(t, other, input{"email": "lee@example.com"})
				if err := end(srv, admin); err != nil {
					t.Fatal(err)
				}
				accept(t, srv, link).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
				accepted(t, accept(t, srv, kept))
				if got := states(t, other); got != "ACCEPTED REVOKED" {
					t.Error(got)
				}
			})
		})
	}
}

func TestAnInvitationNeverChangesAnAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		id, link := invite(t, admin, input{"email": "jane.doe@example.com", "roles": []string{"ADMIN"}})
		c := jane(t, srv)
		do(t, srv, acceptInvitation, input{"token": link, "password": newPassword}).Refused(t, "CONFLICT", "EMAIL_TAKEN")
		accepted(t, tryLogin(t, srv, input{"email": c.Email, "password": password}))
		if n := srv.Count(t, "SELECT count(*) FROM users WHERE roles = 'USER' AND NOT email_verified"); n != 1 {
			t.Error("the account has changed")
		}
		admin.Do(t, inviteUser, in(input{"email": c.Email})).Refused(t, "CONFLICT", "EMAIL_TAKEN")
		admin.Do(t, resendInvitation, in(input{"id": id})).Refused(t, "CONFLICT", "EMAIL_TAKEN")
		if n := len(srv.Secrets(t, mail.Invitation)); n != 1 {
			t.Errorf("%d mails", n)
		}
	}, settings("open", "off"))
}

func TestInvitationsAreForAdministratorsWhoJustSignedIn(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c, admin := srv.As(t), srv.As(t, "ADMIN")
	id, _ := invite(t, admin, input{"email": "kim@example.com"})
	c.Do(t, invitations, nil).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
	srv.Advance(t, 16*time.Minute)
	admin.Refresh(t)
	for mutation, fields := range map[string]input{
		inviteUser:       {"email": "lee@example.com"},
		resendInvitation: {"id": id},
		revokeInvitation: {"id": id},
	} {
		admin.Do(t, mutation, in(fields)).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		srv.Anonymous().Do(t, mutation, in(fields)).Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
	}
}

func TestInvitationsAreChecked(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.MailPaceLimit.Burst = 1 })
	admin := srv.As(t, "ADMIN")
	a := admin.Do(t, inviteUser, in(input{"email": "kim", "message": strings.Repeat("é", 1001)}))
	if diff := cmp.Diff([]string{"input.email EMAIL_INVALID", "input.message TOO_LONG"}, fields(a)); diff != "" {
		t.Error(diff)
	}
	admin.Do(t, inviteUser, in(input{"email": "kim@example.com", "message": "a\u202Eb"})).
		Refused(t, "BAD_USER_INPUT", "MALFORMED")
	invite(t, admin, input{"email": "kim@example.com", "message": strings.Repeat("é", 1000)})
	admin.Do(t, inviteUser, in(input{"email": "kim@example.com"})).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	accept(t, srv, "t").Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
}

func TestOldInvitationsAreDeleted(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		invite(t, admin, input{"email": "old@example.com"})
		srv.Update(t, "UPDATE invitations SET expires_at = now_us() - $1", (91 * 24 * time.Hour).Microseconds())
		_, link := invite(t, admin, input{"email": "kim@example.com"})
		var in struct{ AcceptInvitation apptest.Auth }
		accept(t, srv, link).Into(t, &in)
		kim := srv.Anonymous()
		kim.Take(in.AcceptInvitation)
		if err := srv.App.Accounts.PruneInvitations(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := states(t, admin); got != "ACCEPTED" {
			t.Error(got)
		}
		// Deleting the account also deletes its address here.
		if err := srv.App.Accounts.Remove(t.Context(), kim.UserID, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		if got := states(t, admin); got != "" {
			t.Error(got)
		}
	})
}

func TestWithoutMailNothingIsOffered(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.Production = true })
	_, err := srv.App.Accounts.Invite(t.Context(), "kim@example.com", nil, "", apptest.Operator)
	if !fault.Is(err, fault.NotOffered) {
		t.Error(err)
	}
}
