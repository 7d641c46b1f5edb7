package graph

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/token"
)

// userList returns the name of the list that a filter selects. Cursors are bound to it, because the page after a cursor
// of another search would silently contain unrelated users, or none.
func userList(f account.Filter) string {
	if f.Search == "" {
		return "users"
	}
	return fmt.Sprintf("users %s %t by %s", f.Role, f.Disabled != nil && *f.Disabled, f.Search)
}

func userFilter(search *string, role *token.Role, disabled *bool) account.Filter {
	f := account.Filter{Disabled: disabled}
	if search != nil {
		f.Search = account.Fold(*search) // folded here, so that cursors do not depend on case
	}
	if role != nil {
		f.Role = *role
	}
	return f
}

// userPage returns a page of the users that f selects.
func (r *Resolver) userPage(ctx context.Context, f account.Filter, p paging) (*model.UserConnection, error) {
	found, err := r.Accounts.List(ctx, f, p.Window)
	if err != nil {
		return nil, err
	}
	ids := make([]token.UserID, len(found.Rows))
	for i, one := range found.Rows {
		ids[i] = one.ID
	}
	prime(ctx, ids)
	page := &model.UserConnection{Nodes: found.Rows}
	page.Edges, page.PageInfo = connection(ctx, p, found, func(cursor string, node *account.User) *model.UserEdge {
		return &model.UserEdge{Cursor: cursor, Node: node}
	})
	page.TotalCount, err = total(ctx, func() (int, error) { return r.Accounts.Count(ctx, f) })
	return page, err
}
