package session_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

type page struct {
	Edges []struct {
		Cursor string
		Node   struct{ ID token.SessionID }
	}
	Nodes    []struct{ ID token.SessionID }
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       *string
	}
	TotalCount int
}

func (p page) ids() []token.SessionID {
	var ids []token.SessionID
	for _, one := range p.Nodes {
		ids = append(ids, one.ID)
	}
	return ids
}

func tryList(tb testing.TB, c *apptest.Client, arguments string) *apptest.Answer {
	tb.Helper()
	return c.Do(tb, `{ me { sessions`+arguments+` { edges { cursor node { id } } nodes { id }
		pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } } }`, nil)
}

func list(tb testing.TB, c *apptest.Client, arguments string) page {
	tb.Helper()
	var out struct{ Me struct{ Sessions page } }
	tryList(tb, c, arguments).Into(tb, &out)
	return out.Me.Sessions
}

// signedIn returns a client of a user with n sessions, and the ids of these, newest first.
func signedIn(tb testing.TB, srv *apptest.Server, n int) (c *apptest.Client, ids []token.SessionID) {
	tb.Helper()
	c = srv.As(tb)
	ids = []token.SessionID{c.SessionID}
	for range n - 1 {
		ids = append(ids, c.Login(tb).SessionID)
	}
	slices.Reverse(ids)
	return c, ids
}

func TestSessionsArePagedBothWays(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		if srv.App.DB.Dialect() == store.Postgres {
			// In any locale of the server: most sort punctuation before digits and letters.
			srv.Exec(t, `ALTER TABLE sessions ALTER COLUMN id TYPE TEXT COLLATE "en-x-icu"`)
		}
		srv.As(t) // another user's session, which must not be in the list
		c, ids := signedIn(t, srv, 5)
		whole := list(t, c, "")
		diff := cmp.Diff(ids, whole.ids())
		if diff != "" || whole.TotalCount != 5 || whole.PageInfo.HasNextPage || whole.PageInfo.HasPreviousPage {
			t.Fatalf("(-want +got):\n%s %+v", diff, whole)
		}
		t.Run("forward", func(t *testing.T) {
			var got []token.SessionID
			for after := ""; ; {
				p := list(t, c, "(first: 2"+after+")")
				got = append(got, p.ids()...)
				if p.TotalCount != 5 || p.PageInfo.HasPreviousPage || p.Edges[0].Cursor != *p.PageInfo.StartCursor {
					t.Errorf("got %+v", p)
				}
				if !p.PageInfo.HasNextPage {
					break
				}
				after = fmt.Sprintf(", after: %q", *p.PageInfo.EndCursor)
			}
			if diff := cmp.Diff(ids, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
		t.Run("backward", func(t *testing.T) {
			var got []token.SessionID
			for before := ""; ; {
				p := list(t, c, "(last: 2"+before+")")
				got = append(p.ids(), got...)
				if p.PageInfo.HasNextPage {
					t.Errorf("got %+v", p)
				}
				if !p.PageInfo.HasPreviousPage {
					break
				}
				before = fmt.Sprintf(", before: %q", *p.PageInfo.StartCursor)
			}
			if diff := cmp.Diff(ids, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
		t.Run("between two cursors", func(t *testing.T) {
			p := list(t, c, fmt.Sprintf("(first: 10, after: %q, before: %q)", whole.Edges[0].Cursor, whole.Edges[4].Cursor))
			if diff := cmp.Diff(ids[1:4], p.ids()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
		t.Run("beyond the end", func(t *testing.T) {
			p := list(t, c, fmt.Sprintf("(first: 10, after: %q)", whole.Edges[4].Cursor))
			if len(p.Nodes) != 0 || p.PageInfo.StartCursor != nil || p.PageInfo.HasNextPage {
				t.Errorf("got %+v", p)
			}
		})
		t.Run("by the cursor of another user, but only through the caller's sessions", func(t *testing.T) {
			stranger := list(t, srv.As(t), "")
			if p := list(t, c, fmt.Sprintf("(first: 10, after: %q)", stranger.Edges[0].Cursor)); len(p.Nodes) != 5 {
				t.Errorf("got %d, want all 5 older ones", len(p.Nodes))
			}
		})
		t.Run("without ended sessions", func(t *testing.T) {
			srv.Exec(t, "UPDATE sessions SET expires_at = now_us() WHERE id = $1", ids[1])
			revoke(t, c, string(ids[2])).Into(t, &struct{}{})
			if p := list(t, c, ""); p.TotalCount != 3 || len(p.Nodes) != 3 {
				t.Errorf("got %+v", p)
			}
		})
	})
}

func TestSessionListRefusesBadArguments(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		for _, arguments := range []string{"(first: 0)", "(first: -1)", "(first: 101)", "(last: 101)", "(first: 1, last: 1)",
			`(after: "")`, `(after: "garbage")`, `(before: "JyBPUiAxPTEgLS0")`, `(after: "\u0000")`} {
			answer := tryList(t, c, arguments)
			if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%s: got %s", arguments, answer.Body)
			}
		}
		answer := tryList(t, c, `(first: 0, after: "x", before: "y")`)
		if len(answer.Errors) != 1 || len(answer.Errors[0].Extensions.Fields) != 3 {
			t.Errorf("want all three problems at once, got %s", answer.Body)
		}
	})
}

func TestCurrentIsTheSessionOfTheRequest(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		c.Login(t)
		var out struct {
			Me struct {
				Sessions struct {
					Nodes []struct {
						ID            token.SessionID
						Current       bool
						IP, UserAgent string
					}
				}
			}
		}
		c.Do(t, `{ me { sessions { nodes { id current ip userAgent } } } }`, nil).Into(t, &out)
		if len(out.Me.Sessions.Nodes) != 2 {
			t.Errorf("%d sessions, want 2", len(out.Me.Sessions.Nodes))
		}
		for _, one := range out.Me.Sessions.Nodes {
			if one.Current != (one.ID == c.SessionID) || one.IP != "127.0.0.1" || one.UserAgent == "" {
				t.Errorf("got %+v", one)
			}
		}
		lists, err := srv.App.Sessions.List(t.Context(), []token.UserID{c.UserID}, "", store.Window{Limit: 2})
		if err != nil || len(lists[c.UserID].Rows) != 2 {
			t.Fatalf("got %+v, %v", lists, err)
		}
		for _, one := range lists[c.UserID].Rows {
			if one.OwnerID() != c.UserID {
				t.Errorf("a session of %s has the owner %s", c.UserID, one.OwnerID())
			}
		}
	})
}
