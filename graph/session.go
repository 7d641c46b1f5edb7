package graph

import (
	"context"
	"net/http"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// These functions are not in session.resolvers.go, because gqlgen comments out helpers there.

// client returns the client of the request as an actor without claims. Fields that prove the caller's identity use it,
// because they ignore the request's access token.
func client(ctx context.Context) audit.Actor {
	r := web.RequestFrom(ctx)
	return audit.Actor{IP: r.IP, UserAgent: r.UserAgent, RequestID: r.ID}
}

// actor returns the authenticated caller.
func actor(ctx context.Context) audit.Actor {
	by := client(ctx)
	by.Claims = guard.Caller(ctx)
	return by
}

// accepted answers a request that returns nothing else.
func accepted(err error) (*model.RequestPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.RequestPayload{Accepted: true}, nil
}

// recoveryCodes answers with new recovery codes.
func recoveryCodes(codes []string, err error) (*model.RecoveryCodesPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.RecoveryCodesPayload{Codes: codes}, nil
}

func required(path string) error {
	return fault.Invalid([]fault.Field{{Path: path, Reason: fault.Required, Message: "this is required"}})
}

func (r *Resolver) tokenInfo(ctx context.Context, raw string) (*model.TokenInfo, error) {
	if web.RequestFrom(ctx).Method == http.MethodGet {
		return nil, fault.New(fault.BadUserInput, fault.PostRequired,
			"verifyToken is answered to POST only: a URL with a token ends up in logs")
	}
	principal, err := r.Authenticator.Authenticate(ctx, raw)
	if f := fault.As(err); f != nil && f.Code == fault.Unauthenticated {
		// Only invalid tokens are throttled, because one service may verify the tokens of all its users.
		if err := r.Throttle.TakeLocal(throttle.VerifyInvalid, web.Network(client(ctx).IP)); err != nil {
			return nil, err
		}
		return &model.TokenInfo{}, nil
	}
	if err != nil {
		return nil, err
	}
	sub, sid, expires := string(principal.UserID), string(principal.SessionID), store.TimeOf(principal.ExpiresAt)
	return &model.TokenInfo{Active: true, Sub: &sub, SessionID: &sid, ExpiresAt: &expires}, nil
}

type sessionPages = map[token.UserID]*store.Page[session.Session]

// sessionPage returns a page of a user's sessions.
func (r *Resolver) sessionPage(ctx context.Context, user token.UserID, p paging) (*model.SessionConnection, error) {
	current := guard.Caller(ctx).SessionID
	list := func(ctx context.Context, users []token.UserID, w store.Window) (sessionPages, error) {
		return r.Sessions.List(ctx, users, current, w)
	}
	found, err := pageOf(ctx, p, user, list)
	if err != nil {
		return nil, err
	}
	page := &model.SessionConnection{Nodes: found.Rows}
	page.Edges, page.PageInfo = connection(ctx, p, found, func(cursor string, node *session.Session) *model.SessionEdge {
		return &model.SessionEdge{Cursor: cursor, Node: node}
	})
	page.TotalCount, err = total(ctx, func() (int, error) { return load(ctx, "session count", user, r.Sessions.Count) })
	return page, err
}
