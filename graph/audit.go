package graph

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/transport"
)

func auditFilter(in *model.AuditFilter) (f audit.Filter, problems []fault.Field) {
	if in == nil {
		return f, nil
	}
	user := func(path string, id *string) {
		if id != nil && uuid.Validate(*id) != nil {
			problems = append(problems, fault.Field{
				Path: path, Reason: fault.Malformed, Message: path + " is not the id of a user",
			})
		}
	}
	user("filter.userId", in.UserID)
	user("filter.actorId", in.ActorID)
	set(&f.User, (*token.UserID)(in.UserID))
	set(&f.Actor, (*token.UserID)(in.ActorID))
	set(&f.Action, in.Action)
	set(&f.Outcome, in.Outcome)
	f.Since, f.Until = in.Since, in.Until
	return f, problems
}

// set copies a value unless it is nil.
func set[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// auditPage returns a page of the whole log.
func (r *Resolver) auditPage(ctx context.Context, f audit.Filter, p paging) (*model.AuditConnection, error) {
	found, err := r.Audit.List(ctx, f, p.Window)
	if err != nil {
		return nil, err
	}
	var concerned []token.UserID
	for _, one := range found.Rows {
		concerned = append(concerned, one.UserID, one.ActorID)
	}
	prime(ctx, concerned)
	page := &model.AuditConnection{Nodes: found.Rows}
	page.Edges, page.PageInfo = connection(ctx, p, found, func(cursor string, node *audit.Entry) *model.AuditEdge {
		return &model.AuditEdge{Cursor: cursor, Node: node}
	})
	page.TotalCount, err = total(ctx, func() (int, error) { return r.Audit.Count(ctx, f) })
	return page, err
}

// userOf returns a user of an entry in the audit log, or nil if the user no longer exists.
func (r *Resolver) userOf(ctx context.Context, id token.UserID) (*account.User, error) {
	if id == "" {
		return nil, nil
	}
	read := func(ctx context.Context, ids []token.UserID) (map[token.UserID]*account.User, error) {
		users, err := r.Accounts.ByIDs(ctx, ids)
		found := make(map[token.UserID]*account.User, len(users))
		for i, u := range users {
			found[ids[i]] = u
		}
		return found, err
	}
	return load(ctx, "user", id, read)
}

// securityPage returns a page of the entries that concern one user.
func (r *Resolver) securityPage(
	ctx context.Context, user token.UserID, p paging,
) (*model.SecurityEventConnection, error) {
	found, err := pageOf(ctx, p, user, r.Audit.ListOf)
	if err != nil {
		return nil, err
	}
	page := &model.SecurityEventConnection{Nodes: found.Rows}
	page.Edges, page.PageInfo = connection(ctx, p, found, func(cursor string, node *audit.Entry) *model.SecurityEventEdge {
		return &model.SecurityEventEdge{Cursor: cursor, Node: node}
	})
	page.TotalCount, err = total(ctx, func() (int, error) {
		return load(ctx, "security log count", user, r.Audit.CountOf)
	})
	return page, err
}

// follow streams new entries. A reader who falls behind is disconnected and told to connect again, because entries
// would be missing otherwise.
func (r *Resolver) follow(ctx context.Context, f audit.Filter) (<-chan *audit.Entry, error) {
	return r.Feed.Subscribe(ctx, f, func() {
		transport.EndStream(ctx,
			fault.Busy(fault.Overloaded, "events came faster than they were read: connect again", time.Second))
	})
}
