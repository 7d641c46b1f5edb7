package graph_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

type userPage struct {
	Edges []struct {
		Cursor string
		Node   struct{ Email string }
	}
	Nodes    []struct{ Email string }
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       string
	}
	TotalCount int
}

const usersQuery = `query($first: Int, $after: String, $last: Int, $before: String, $search: String, $role: Role, $disabled: Boolean) {
	users(first: $first, after: $after, last: $last, before: $before, search: $search, role: $role, disabled: $disabled) {
		edges { cursor node { email } } nodes { email }
		pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }`

type vars = map[string]any

func users(tb testing.TB, c *apptest.Client, variables vars) userPage {
	tb.Helper()
	var out struct{ Users userPage }
	c.Do(tb, usersQuery, variables).Into(tb, &out)
	for i, edge := range out.Users.Edges {
		if edge.Node != out.Users.Nodes[i] {
			tb.Errorf("edges and nodes differ: %+v", out.Users)
		}
	}
	return out.Users
}

// names returns the users of a page, by the part of their address before the @.
func (p userPage) names() string {
	var names []string
	for _, one := range p.Nodes {
		name, _, _ := strings.Cut(one.Email, "@")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// walk reads a list page by page, forward or backward, and returns it in order.
func walk(tb testing.TB, c *apptest.Client, variables vars, size string, n int) string {
	tb.Helper()
	var list []string
	variables[size] = n
	for {
		page := users(tb, c, variables)
		if size == "first" {
			list = append(list, page.names())
			if variables["after"] = page.PageInfo.EndCursor; !page.PageInfo.HasNextPage {
				return strings.Join(strings.Fields(strings.Join(list, " ")), " ")
			}
		} else {
			list = append([]string{page.names()}, list...)
			if variables["before"] = page.PageInfo.StartCursor; !page.PageInfo.HasPreviousPage {
				return strings.Join(strings.Fields(strings.Join(list, " ")), " ")
			}
		}
	}
}

func addUser(tb testing.TB, srv *apptest.Server, email, username, name string, roles ...token.Role) *account.User {
	tb.Helper()
	in := account.Registration{Email: email, Password: apptest.Password}
	if username != "" {
		in.Username = &username
	}
	if name != "" {
		in.Name = &name
	}
	u, err := srv.App.Accounts.Add(tb.Context(), in, roles, apptest.Operator)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func TestUsersAreListed(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		addUser(t, srv, "ann@example.com", "zed", "Ann Other")
		addUser(t, srv, "bob@example.com", "ann.b", "Ärger")
		gone := addUser(t, srv, "ANNA@example.com", "", "100%_sure")
		addUser(t, srv, "carl@example.com", "", "Ann Archy", "ADMIN")
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), gone.ID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			variables vars
			want      string
		}{
			"all, the newest first":                   {vars{}, "carl ANNA bob ann user1"},
			"by role":                                 {vars{"role": "ADMIN"}, "carl user1"},
			"by role that everybody has":              {vars{"role": "USER"}, "carl ANNA bob ann user1"},
			"the disabled":                            {vars{"disabled": true}, "ANNA"},
			"the enabled":                             {vars{"disabled": false}, "carl bob ann user1"},
			"by role and state":                       {vars{"role": "USER", "disabled": true}, "ANNA"},
			"by prefix of address, username and name": {vars{"search": "ann"}, "carl ann bob ANNA"},
			"in any case":                             {vars{"search": " AnN"}, "carl ann bob ANNA"},
			"beyond ASCII":                            {vars{"search": "äR"}, "bob"},
			"decomposed":                              {vars{"search": "A\u0308r"}, "bob"},
			"search and role":                         {vars{"search": "ann", "role": "ADMIN"}, "carl"},
			"search and state":                        {vars{"search": "ann", "disabled": true}, "ANNA"},
			"unknown":                                 {vars{"search": "unknown"}, ""},
			"no infix":                                {vars{"search": "example"}, ""},
			"a percent sign is itself":                {vars{"search": "%"}, ""},
			"an underscore is itself":                 {vars{"search": "_"}, ""},
			"wildcards in the middle too":             {vars{"search": "100%_"}, "ANNA"},
			"a quote is itself":                       {vars{"search": "ann' OR '1'='1"}, ""},
			"a NUL":                                   {vars{"search": "ann\x00"}, ""},
			"the last character of Unicode":           {vars{"search": "\U0010FFFF"}, ""},
			"the one before the surrogates":           {vars{"search": "\uD7FF"}, ""},
			"the empty search finds all":              {vars{"search": ""}, "carl ANNA bob ann user1"},
			"and so does a blank one":                 {vars{"search": " \t"}, "carl ANNA bob ann user1"},
		} {
			t.Run(name, func(t *testing.T) {
				page := users(t, admin, test.variables)
				if diff := cmp.Diff(test.want, page.names()); diff != "" {
					t.Error(diff)
				}
				if page.TotalCount != len(page.Nodes) {
					t.Errorf("totalCount is %d", page.TotalCount)
				}
				for _, n := range []int{1, 2, 3} {
					for _, size := range []string{"first", "last"} {
						if diff := cmp.Diff(test.want, walk(t, admin, maps.Clone(test.variables), size, n)); diff != "" {
							t.Errorf("%s %d: %s", size, n, diff)
						}
					}
				}
			})
		}
	})
}

func TestUsersAreFoundByTheirCurrentNames(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c := srv.As(t, "ADMIN"), srv.As(t)
		c.Do(t, `mutation { updateProfile(input: {username: "first", name: "Before"}) { id } }`, nil).Into(t, &struct{}{})
		c.Do(t, `mutation { updateProfile(input: {username: "second", name: ""}) { id } }`, nil).Into(t, &struct{}{})
		for search, want := range map[string]string{"first": "", "before": "", "second": "user2", "user2": "user2"} {
			if got := users(t, admin, vars{"search": search}).names(); got != want {
				t.Errorf("%s finds %q, want %q", search, got, want)
			}
		}
	})
}

// If few candidates match, pages are short, and following the cursor still finds all users.
func TestSparsePagesContinue(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		var lines strings.Builder
		const n = 1500
		for i := range n {
			fmt.Fprintf(&lines, `{"email": "crowd%04d@example.com", "disabled": %t}`+"\n", i, i != 7 && i != n-7)
		}
		created, problems, err := srv.App.Accounts.Import(
			t.Context(), userfile.NewReader(strings.NewReader(lines.String()), userfile.Options{}), apptest.Operator,
		)
		if err != nil || created != n {
			t.Fatal(created, problems, err)
		}
		sparse := vars{"search": "crowd", "disabled": false}
		page := users(t, admin, sparse)
		if got := page.names(); got != "crowd0007" || !page.PageInfo.HasNextPage || page.TotalCount != 2 {
			t.Errorf("the first page: %s of %d, more: %t", got, page.TotalCount, page.PageInfo.HasNextPage)
		}
		if got := walk(t, admin, maps.Clone(sparse), "first", 20); got != fmt.Sprintf("crowd0007 crowd%04d", n-7) {
			t.Errorf("forward: %s", got)
		}
		if got := walk(t, admin, maps.Clone(sparse), "last", 20); got != fmt.Sprintf("crowd0007 crowd%04d", n-7) {
			t.Errorf("backward: %s", got)
		}
		if got := users(t, admin, vars{"disabled": true, "last": 1}); got.names() != "crowd0000" || got.TotalCount != n-2 {
			t.Errorf("the disabled: %s of %d", got.names(), got.TotalCount)
		}
	})
}

func TestCursorsCannotBeMadeUp(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	admin := srv.As(t, "ADMIN")
	srv.As(t)
	genuine := users(t, admin, vars{"first": 1}).PageInfo.EndCursor
	found := users(t, admin, vars{"first": 1, "search": "user"}).PageInfo.EndCursor
	raw, err := base64.RawURLEncoding.DecodeString(genuine)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(raw)
	changed[len(changed)-1] ^= 1
	var own struct {
		Me struct {
			Sessions struct{ PageInfo struct{ EndCursor string } }
		}
	}
	admin.Do(t, `{ me { sessions { pageInfo { endCursor } } } }`, nil).Into(t, &own)
	other := apptest.Start(t, func(o *apptest.Options) { o.Config.Secret = "another secret, of more than 32 bytes too" })
	foreign := users(t, other.As(t, "ADMIN"), vars{"first": 1}).PageInfo.EndCursor
	if again := users(t, admin, vars{"first": 1, "search": " UseR", "after": found}); again.names() != "user2" {
		t.Errorf("the same search in another case continues with %q", again.names())
	}
	for name, variables := range map[string]vars{
		"nothing":                {"after": ""},
		"text":                   {"after": "MjA"},
		"a changed position":     {"after": base64.RawURLEncoding.EncodeToString(changed)},
		"no MAC":                 {"after": base64.RawURLEncoding.EncodeToString(raw[16:])},
		"padding":                {"after": genuine + "="},
		"of another list":        {"after": own.Me.Sessions.PageInfo.EndCursor},
		"of another order":       {"after": genuine, "search": "user"},
		"of another search":      {"after": found, "search": "ann"},
		"of a longer search":     {"after": found, "search": "user1"},
		"of another role":        {"after": found, "search": "user", "role": "ADMIN"},
		"of another state":       {"after": found, "search": "user", "disabled": true},
		"of another server":      {"before": foreign},
		"an empty page":          {"first": 0},
		"a page of fewer":        {"last": -1},
		"a page of all":          {"first": 101},
		"two directions at once": {"first": 1, "last": 1},
	} {
		t.Run(name, func(t *testing.T) {
			answer := admin.Do(t, usersQuery, variables)
			if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != "BAD_USER_INPUT" ||
				len(answer.Errors[0].Extensions.Fields) != 1 {
				t.Errorf("%s", answer.Body)
			}
		})
	}
}

// A list takes as many statements for many users as for one, in both directions.
func TestListsReadRelatedRowsTogether(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		for range 9 {
			srv.As(t).Login(t)
		}
		for name, query := range map[string]string{
			"nodes": `query($n: Int) { users(first: $n) { nodes { email sessions(first: 1) { nodes { id } totalCount } securityLog(first: 2) { nodes { action } totalCount } } } }`,
			"edges": `query($n: Int) { users(first: $n) { edges { node { email sessions(first: 1) { edges { node { id } } totalCount } securityLog(first: 2) { edges { node { id } } } } } } }`,
			"audit": `query($n: Int) { auditLog(first: $n) { edges { node { action actor { email sessions(first: 1) { totalCount } } user { email } } } nodes { user { name } } } }`,
		} {
			t.Run(name, func(t *testing.T) {
				run := func(n int) int64 {
					fewest := int64(math.MaxInt64)
					for range 5 { // retry, because background work also runs statements
						before := srv.App.DB.Statements()
						answer := admin.Do(t, query, vars{"n": n})
						if answer.Into(t, &struct{}{}); strings.Count(string(answer.Body), `"email"`) < n {
							t.Fatalf("fewer than %d users: %s", n, answer.Body)
						}
						fewest = min(fewest, srv.App.DB.Statements()-before)
					}
					return fewest
				}
				if one, many := run(1), run(8); one == 0 || many != one {
					t.Errorf("%d statements for 1, %d for 8", one, many)
				}
			})
		}
	})
}

func TestSessionsInAListAreEachUsersOwn(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, one, two := srv.As(t, "ADMIN"), srv.As(t), srv.As(t)
		second := two.Login(t)
		type sessions struct {
			TotalCount int
			Nodes      []struct{ ID token.SessionID }
			PageInfo   struct{ HasNextPage bool }
		}
		var out struct {
			Users struct {
				Nodes []struct {
					ID       token.UserID
					Newest   sessions
					Sessions sessions
				}
			}
		}
		admin.Do(t, `{ users(search: "user") { nodes { id newest: sessions(first: 1) { totalCount nodes { id } pageInfo { hasNextPage } } sessions { totalCount nodes { id } pageInfo { hasNextPage } } } } }`, nil).
			Into(t, &out)
		got := map[token.UserID]string{}
		for _, u := range out.Users.Nodes {
			got[u.ID] = fmt.Sprint(u.Newest, u.Sessions)
		}
		id := func(list ...token.SessionID) (nodes []struct{ ID token.SessionID }) {
			for _, one := range list {
				nodes = append(nodes, struct{ ID token.SessionID }{one})
			}
			return nodes
		}
		more := sessions{2, id(second.SessionID), struct{ HasNextPage bool }{true}}
		want := map[token.UserID]string{
			admin.UserID: fmt.Sprint(
				sessions{1, id(admin.SessionID), struct{ HasNextPage bool }{}},
				sessions{1, id(admin.SessionID), struct{ HasNextPage bool }{}},
			),
			one.UserID: fmt.Sprint(
				sessions{1, id(one.SessionID), struct{ HasNextPage bool }{}},
				sessions{1, id(one.SessionID), struct{ HasNextPage bool }{}},
			),
			two.UserID: fmt.Sprint(more, sessions{2, id(second.SessionID, two.SessionID), struct{ HasNextPage bool }{}}),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

const (
	setRoles       = `mutation($id: ID!, $roles: [Role!]!) { setRoles(input: {id: $id, roles: $roles}) { roles } }`
	disableUser    = `mutation($id: ID!) { disableUser(input: {id: $id}) { disabled } }`
	enableUser     = `mutation($id: ID!) { enableUser(input: {id: $id}) { disabled } }`
	revokeSessions = `mutation($id: ID!) { revokeSessions(input: {userId: $id}) { endedSessions } }`
	deleteUser     = `mutation($id: ID!) { deleteUser(input: {id: $id}) { id } }`
)

func TestAdministratorsChangeUsers(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c := srv.As(t, "ADMIN"), srv.As(t)
		me := func(code, reason string) {
			t.Helper()
			answer := c.Do(t, `{ me { roles } }`, nil)
			if code == "" {
				answer.Into(t, &struct{}{})
			} else {
				answer.Refused(t, code, reason)
			}
		}
		var roles struct{ SetRoles struct{ Roles []string } }
		admin.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{"ADMIN"}}).Into(t, &roles)
		if diff := cmp.Diff([]string{"ADMIN", "USER"}, roles.SetRoles.Roles); diff != "" {
			t.Error(diff)
		}
		me("UNAUTHENTICATED", "TOKEN_STALE")
		c.Refresh(t)
		c.Do(t, usersQuery, nil).Into(t, &struct{}{})
		admin.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{}}).Into(t, &roles)
		c.Refresh(t)
		c.Do(t, usersQuery, nil).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")

		var ended struct{ RevokeSessions struct{ EndedSessions int } }
		c.Login(t)
		admin.Do(t, revokeSessions, vars{"id": c.UserID}).Into(t, &ended)
		if ended.RevokeSessions.EndedSessions != 2 {
			t.Errorf("%d sessions ended", ended.RevokeSessions.EndedSessions)
		}
		me("UNAUTHENTICATED", "TOKEN_REVOKED")
		c = c.Login(t)
		me("", "")

		admin.Do(t, disableUser, vars{"id": c.UserID}).Into(t, &struct{}{})
		me("UNAUTHENTICATED", "TOKEN_REVOKED")
		admin.Do(t, disableUser, vars{"id": c.UserID}).Into(t, &struct{}{}) // the user is already disabled
		admin.Do(t, enableUser, vars{"id": c.UserID}).Into(t, &struct{}{})
		c = c.Login(t)
		me("", "")

		admin.Do(t, deleteUser, vars{"id": c.UserID}).Into(t, &struct{}{})
		me("UNAUTHENTICATED", "TOKEN_REVOKED")
		for name, mutation := range map[string]string{"setRoles": setRoles, "disable": disableUser, "enable": enableUser, "revoke": revokeSessions, "delete": deleteUser,
			"user": `query($id: ID!) { user(id: $id) { id } }`} {
			for _, id := range []string{string(c.UserID), "unknown", "", "\x00"} {
				variables := vars{"id": id}
				if name == "setRoles" {
					variables["roles"] = []string{"USER"}
				}
				if answer := admin.Do(t, mutation, variables); len(answer.Errors) != 1 ||
					answer.Errors[0].Extensions.Reason != "USER_NOT_FOUND" {
					t.Errorf("%s of %q: %s", name, id, answer.Body)
				}
			}
		}
		var log struct {
			AuditLog struct {
				Nodes []struct {
					Action, ActorID, UserID, Detail string
					User, Actor                     *struct{ Email string }
				}
			}
		}
		admin.Do(t, `query($id: ID!) { auditLog(first: 100, filter: {userId: $id, actorId: "`+string(admin.UserID)+`"}) { nodes { action actorId userId detail user { email } actor { email } } } }`,
			vars{"id": c.UserID}).
			Into(t, &log)
		var actions []string
		for _, one := range log.AuditLog.Nodes {
			if one.User != nil || one.Actor == nil || one.Actor.Email != admin.Email {
				t.Errorf("%+v", one)
			}
			actions = append(actions, strings.TrimSpace(one.Action+" "+one.Detail))
		}
		slices.Reverse(actions)
		if diff := cmp.Diff([]string{"PRIVILEGE_PERMISSIONS_CHANGED USER → ADMIN USER", "PRIVILEGE_PERMISSIONS_CHANGED ADMIN USER → USER",
			"AUTHN_TOKEN_REVOKED revoked", "AUTHN_TOKEN_REVOKED revoked", "USER_DISABLED", "USER_ENABLED", "USER_DELETED"}, actions); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRiskyActsNeedARecentProof(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.AccessLife = time.Hour })
	admin, c := srv.As(t, "ADMIN"), srv.As(t)
	srv.Advance(t, 901*time.Second)
	for _, mutation := range []string{disableUser, enableUser, deleteUser} {
		admin.Do(t, mutation, vars{"id": c.UserID}).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
	}
	admin.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{"ADMIN"}}).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
	admin.Do(t, revokeSessions, vars{"id": c.UserID}).Into(t, &struct{}{}) // urgent acts need no recent proof
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		acts := map[string]func(by *apptest.Client, id token.UserID) *apptest.Answer{
			"lose the role": func(by *apptest.Client, id token.UserID) *apptest.Answer {
				return by.Do(t, setRoles, vars{"id": id, "roles": []string{"USER"}})
			},
			"be disabled": func(by *apptest.Client, id token.UserID) *apptest.Answer {
				return by.Do(t, disableUser, vars{"id": id})
			},
			"be deleted": func(by *apptest.Client, id token.UserID) *apptest.Answer {
				return by.Do(t, deleteUser, vars{"id": id})
			},
			"delete the account": func(by *apptest.Client, id token.UserID) *apptest.Answer {
				return by.Do(t, `mutation { deleteAccount(input: {confirmEmail: "`+by.Email+`"}) { id } }`, nil)
			},
		}
		for name, act := range acts {
			t.Run(name, func(t *testing.T) {
				act(admin, admin.UserID).Refused(t, "CONFLICT", "LAST_ADMIN")
				admin.Do(t, `{ users { totalCount } }`, nil).Into(t, &struct{}{})
			})
		}
		t.Run("not counting the disabled", func(t *testing.T) {
			other := srv.As(t, "ADMIN")
			admin.Do(t, disableUser, vars{"id": other.UserID}).Into(t, &struct{}{})
			acts["lose the role"](admin, admin.UserID).Refused(t, "CONFLICT", "LAST_ADMIN")
		})
		t.Run("nor other users", func(t *testing.T) {
			c := srv.As(t)
			admin.Do(t, disableUser, vars{"id": c.UserID}).Into(t, &struct{}{})
			admin.Do(t, deleteUser, vars{"id": c.UserID}).Into(t, &struct{}{})
		})
		t.Run("but for another", func(t *testing.T) {
			other := srv.As(t, "ADMIN")
			acts["lose the role"](other, admin.UserID).Into(t, &struct{}{})
			acts["delete the account"](other, other.UserID).Refused(t, "CONFLICT", "LAST_ADMIN")
		})
	})
}

// If all administrators remove each other's role at the same time, one is left.
func TestAdministratorsDeposeEachOther(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		const n = 6
		admins := make([]*apptest.Client, n)
		for i := range admins {
			admins[i] = srv.As(t, "ADMIN")
		}
		var group errgroup.Group
		for i, by := range admins {
			group.Go(func() error {
				victim := admins[(i+1)%n].UserID
				query, variables := disableUser, vars{"id": victim}
				if i%2 == 0 {
					query, variables = setRoles, vars{"id": victim, "roles": []string{"USER"}}
				}
				answer, err := by.Call(context.WithoutCancel(t.Context()), query, variables)
				if err == nil && answer.Status >= 500 {
					err = fmt.Errorf("%d %s", answer.Status, answer.Body)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		disabled := false
		left, err := srv.App.Accounts.Count(t.Context(), account.Filter{Role: account.RoleAdmin, Disabled: &disabled})
		if err != nil || left < 1 {
			t.Errorf("%d administrators are left, %v", left, err)
		}
	})
}

func TestARoleThatTheSchemaNoLongerHasIsIgnored(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c := srv.As(t, "ADMIN", "FORMER"), srv.As(t, "FORMER")
		type user struct{ Roles []string }
		var out struct {
			Me       user
			SetRoles user
		}
		admin.Do(t, `{ me { roles } }`, nil).Into(t, &out)
		if diff := cmp.Diff([]string{"ADMIN", "USER"}, out.Me.Roles); diff != "" {
			t.Error(diff)
		}
		c.Do(t, `{ users { totalCount } }`, nil).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
		c.Do(t, `{ users(role: FORMER) { totalCount } }`, nil).Refused(t, "GRAPHQL_VALIDATION_FAILED", "")
		admin.Do(
			t, `mutation($id: ID!) { setRoles(input: {id: $id, roles: [USER]}) { roles } }`, vars{"id": c.UserID},
		).Into(t, &out)
		if u, err := srv.App.Accounts.ByID(t.Context(), c.UserID); err != nil || u.Roles.String() != "USER" {
			t.Errorf("setRoles leaves %+v, %v", u, err)
		}
	})
}
