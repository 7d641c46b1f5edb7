package graph

import (
	"context"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/token"
)

// invited answers a change of an invitation.
func invited(i *account.Invitation, err error) (*model.InvitationPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.InvitationPayload{Invitation: i}, nil
}

// invitationPage returns a page of all invitations.
func (r *Resolver) invitationPage(ctx context.Context, p paging) (*model.InvitationConnection, error) {
	found, err := r.Accounts.Invitations(ctx, p.Window)
	if err != nil {
		return nil, err
	}
	inviters := make([]token.UserID, len(found.Rows))
	for i, one := range found.Rows {
		inviters[i] = one.InvitedBy
	}
	prime(ctx, inviters)
	page := &model.InvitationConnection{Nodes: found.Rows}
	edge := func(cursor string, node *account.Invitation) *model.InvitationEdge {
		return &model.InvitationEdge{Cursor: cursor, Node: node}
	}
	page.Edges, page.PageInfo = connection(ctx, p, found, edge)
	page.TotalCount, err = total(ctx, func() (int, error) { return r.Accounts.CountInvitations(ctx) })
	return page, err
}
