package graph

import (
	"context"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/session"
)

var errNodeNotFound = fault.New(fault.NotFound, fault.NodeNotFound,
	"there is no such object, or it belongs to another user")

// node returns the object with the id. Ids are UUIDs, and therefore unique across types, so it tries one type after the
// other.
func (r *Resolver) node(ctx context.Context, id string) (model.Node, error) {
	u, err := r.Accounts.ByID(ctx, account.ID(id))
	if err == nil {
		return owned(ctx, u)
	}
	if !fault.Is(err, fault.UserNotFound) {
		return nil, err
	}
	s, err := r.Sessions.ByID(ctx, session.ID(id), guard.Caller(ctx).SessionID)
	if fault.Is(err, fault.SessionNotFound) {
		return nil, errNodeNotFound
	}
	if err != nil {
		return nil, err
	}
	return owned(ctx, s)
}

// owned returns n to its owner and to administrators. Other callers get the error for unknown ids.
func owned(ctx context.Context, n guard.Owned) (model.Node, error) {
	caller := guard.Caller(ctx)
	if n.OwnerID() != caller.UserID && !caller.HasRole(account.RoleAdmin) {
		return nil, errNodeNotFound
	}
	return n, nil
}
