package graph_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

type currentSession struct {
	ID      string
	Current bool
}

// current is whether the session belongs to the caller that a field is judged by, wherever the session is read.
func TestCurrentMarksTheSessionOfTheCaller(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	first := srv.As(t)
	second := srv.Anonymous()
	second.AccessToken = first.AccessToken // below the payload, the new session counts
	var signedIn struct {
		Login struct {
			AccessToken string
			Session     currentSession
			User        struct {
				Sessions struct{ Nodes []currentSession }
			}
		}
	}
	second.Do(t, `mutation($email: String!, $password: String!) { login(input: {email: $email, password: $password}) {
		accessToken session { id current } user { sessions { nodes { id current } } } } }`,
		map[string]any{"email": first.Email, "password": apptest.Password}).Into(t, &signedIn)
	login := signedIn.Login
	if !login.Session.Current || len(login.User.Sessions.Nodes) != 2 {
		t.Errorf("login answered %+v", login)
	}
	for _, one := range login.User.Sessions.Nodes {
		if one.Current != (one.ID == login.Session.ID) {
			t.Errorf("below login: %+v, want the session %s", one, login.Session.ID)
		}
	}
	for id, want := range map[string]bool{string(first.SessionID): true, login.Session.ID: false} {
		var read struct{ Node currentSession }
		first.Do(t, `query($id: ID!) { node(id: $id) { ... on Session { id current } } }`, map[string]any{"id": id}).
			Into(t, &read)
		if read.Node.Current != want {
			t.Errorf("node: got %+v, want %t", read.Node, want)
		}
	}
	const revoke = `mutation($id: ID!) { revokeSession(input: {id: $id}) { id current } }`
	for _, test := range []struct {
		id   string
		want bool
	}{{login.Session.ID, false}, {string(first.SessionID), true}} {
		var revoked struct{ RevokeSession currentSession }
		first.Do(t, revoke, map[string]any{"id": test.id}).Into(t, &revoked)
		if revoked.RevokeSession != (currentSession{test.id, test.want}) {
			t.Errorf("revokeSession: got %+v, want %t", revoked.RevokeSession, test.want)
		}
	}
}
