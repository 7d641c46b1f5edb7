package graph

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// What stands here and not in session.resolvers.go would be commented out there by the next generate.

const (
	defaultPage = 20
	maxPage     = 100
)

// origin is where the request behind ctx came from.
func origin(ctx context.Context) audit.Origin {
	r := web.RequestFrom(ctx)
	return audit.Origin{IP: r.IP, UserAgent: r.UserAgent, RequestID: r.ID}
}

func required(path string) error {
	return fault.Invalid([]fault.Field{{Path: path, Reason: fault.Required, Message: "this is required"}})
}

func tokenInfo(ctx context.Context, a *guard.Authenticator, raw string) (*model.TokenInfo, error) {
	if web.RequestFrom(ctx).Method == http.MethodGet {
		return nil, fault.New(fault.BadUserInput, fault.PostRequired, "verifyToken is answered to POST only: a URL with a token ends up in logs")
	}
	principal, err := a.Authenticate(ctx, raw)
	if f := fault.As(err); f != nil && f.Code == fault.Unauthenticated {
		return &model.TokenInfo{}, nil
	}
	if err != nil {
		return nil, err
	}
	sub, sid, expires := string(principal.UserID), string(principal.SessionID), store.TimeOf(principal.ExpiresAt)
	return &model.TokenInfo{Active: true, Sub: &sub, SessionID: &sid, ExpiresAt: &expires}, nil
}

// sessionPage reads a page of a user's sessions. The total is counted only if it was asked for.
func sessionPage(ctx context.Context, sessions *session.Service, user token.UserID, first *int32, after *string, last *int32, before *string) (*model.SessionConnection, error) {
	w, err := window(first, after, last, before)
	if err != nil {
		return nil, err
	}
	list, more, err := sessions.List(ctx, user, w)
	if err != nil {
		return nil, err
	}
	page := &model.SessionConnection{Nodes: list, PageInfo: &model.PageInfo{HasNextPage: more && !w.FromEnd, HasPreviousPage: more && w.FromEnd}}
	for _, one := range list {
		page.Edges = append(page.Edges, &model.SessionEdge{Cursor: cursor(one.ID), Node: one})
	}
	if n := len(page.Edges); n > 0 {
		page.PageInfo.StartCursor, page.PageInfo.EndCursor = &page.Edges[0].Cursor, &page.Edges[n-1].Cursor
	}
	if selects(ctx, "totalCount") {
		total, err := sessions.Count(ctx, user)
		if err != nil {
			return nil, err
		}
		page.TotalCount = int32(total)
	}
	return page, nil
}

// window checks the arguments of a connection and names every problem at once.
func window(first *int32, after *string, last *int32, before *string) (session.Window, error) {
	w := session.Window{Limit: defaultPage, FromEnd: last != nil}
	var problems []fault.Field
	size := func(path string, n *int32) {
		if n == nil {
			return
		}
		if w.Limit = int(*n); *n < 1 || *n > maxPage {
			problems = append(problems, fault.Field{Path: path, Reason: fault.Malformed, Message: "must be from 1 to 100"})
		}
	}
	size("first", first)
	size("last", last)
	if first != nil && last != nil {
		problems = append(problems, fault.Field{Path: "last", Reason: fault.ExactlyOne, Message: "give either first or last"})
	}
	position := func(path string, cursor *string) session.ID {
		if cursor == nil {
			return ""
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
		id, err2 := uuid.ParseBytes(raw)
		if err != nil || err2 != nil {
			problems = append(problems, fault.Field{Path: path, Reason: fault.Malformed, Message: "is not a cursor of this list"})
			return ""
		}
		return session.ID(id.String())
	}
	w.After, w.Before = position("after", after), position("before", before)
	return w, fault.Invalid(problems)
}

// cursor is opaque to clients. It need not be tamper-evident: it only says where in the caller's own
// list to go on.
func cursor(id session.ID) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }
