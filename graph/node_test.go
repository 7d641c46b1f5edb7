package graph_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

const nodeQuery = `query($id: ID!) { node(id: $id) { __typename id ... on User { email } ... on Session { userAgent } } }`

func TestNode(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		owner, other, admin := srv.As(t), srv.As(t), srv.As(t, "ADMIN")
		ended := owner.Login(t)
		ended.Do(t, "mutation { logout { endedSessions } }", nil)

		for name, id := range map[string]string{"User": string(owner.UserID), "Session": string(owner.SessionID)} {
			for _, reader := range []*apptest.Client{owner, admin} {
				var out struct {
					Node struct{ Typename, ID string }
				}
				answer := reader.Do(t, `query($id: ID!) { node(id: $id) { typename: __typename id } }`, vars{"id": id})
				answer.Into(t, &out)
				if out.Node.Typename != name || out.Node.ID != id {
					t.Errorf("node %s %s: %s", name, id, answer.Body)
				}
			}
			other.Do(t, nodeQuery, vars{"id": id}).Refused(t, "NOT_FOUND", "NODE_NOT_FOUND")
			srv.Anonymous().Do(t, nodeQuery, vars{"id": id}).Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
		}
		for _, id := range []string{
			"0197b5d0-0000-7000-8000-000000000000", string(ended.SessionID), "", "1", "\x00", "{" + string(owner.UserID) + "}",
		} {
			owner.Do(t, nodeQuery, vars{"id": id}).Refused(t, "NOT_FOUND", "NODE_NOT_FOUND")
		}
	})
}
