package graph

import (
	"context"
	"net/http"
	"time"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/web"
)

// A refresh token is sent in the body, or in a cookie that scripts cannot read. A request that authenticates by cookie
// or sets one must come from a page of a trusted origin. Clients that use headers need no origin.

var errOrigin = fault.New(fault.Forbidden, fault.OriginNotAllowed,
	"cookies are for pages of this server's own origin and of --allowed-origins only")

// delivering issues a grant and delivers its refresh token. It refuses before the work, not after it.
func delivering(
	ctx context.Context,
	delivery model.TokenDelivery,
	issue func() (*session.Grant, error),
) (*session.Grant, error) {
	if web.RequestFrom(ctx).Method != http.MethodPost {
		return nil, fault.New(fault.BadUserInput, fault.PostRequired, "tokens are answered to POST only, not over a socket")
	}
	if delivery == model.TokenDeliveryCookie && !web.CookieAllowed(ctx) {
		return nil, errOrigin
	}
	grant, err := issue()
	if err != nil || grant == nil || delivery != model.TokenDeliveryCookie {
		return grant, err
	}
	web.SetRefreshCookie(ctx, *grant.RefreshToken, grant.RefreshExpiresAt().Std())
	grant.RefreshToken = nil
	return grant, nil
}

func register(ctx context.Context, signIn *signin.Service, in model.RegisterInput) (*session.Grant, error) {
	return delivering(ctx, in.Delivery, func() (*session.Grant, error) {
		return signIn.Register(ctx, account.Registration{Email: in.Email, Password: in.Password, Username: in.Username,
			Name: in.Name, Locale: in.Locale}, client(ctx))
	})
}

// refresh never removes a cookie: if several tabs race, the one that failed must not undo the winner's.
func refresh(ctx context.Context, sessions *session.Service, in *model.RefreshTokenInput) (*session.Grant, error) {
	var input *string
	if in != nil {
		input = &in.RefreshToken
	}
	raw, delivery, err := presented(ctx, input)
	if err != nil {
		return nil, err
	}
	return delivering(ctx, delivery, func() (*session.Grant, error) { return sessions.Refresh(ctx, raw, client(ctx)) })
}

// logout ends sessions by the refresh token in the input if there is one, even if the request has an access token. A
// refresh token in a cookie, which browsers send automatically, counts only without an access token.
func logout(ctx context.Context, sessions *session.Service, in *model.LogoutInput) (ended int, err error) {
	if in == nil {
		in = &model.LogoutInput{Scope: session.ScopeCurrent}
	}
	refusal := guard.Refusal(ctx)
	_, present := web.RefreshCookie(ctx)
	var delivery model.TokenDelivery
	switch {
	case in.RefreshToken != nil || refusal != nil && present:
		var raw string
		if raw, delivery, err = presented(ctx, in.RefreshToken); err == nil {
			ended, err = sessions.LogoutByRefreshToken(ctx, raw, in.Scope, client(ctx))
		}
	case refusal != nil:
		err = refusal
	default:
		by := actor(ctx)
		delivery = deliveryOf(ctx, by.SessionID)
		ended, err = sessions.Logout(ctx, in.Scope, by)
	}
	// The cookie of an ended session is useless. A page that may not change cookies does not need to.
	if err == nil && delivery == model.TokenDeliveryCookie && in.Scope != session.ScopeOthers && web.CookieAllowed(ctx) {
		web.SetRefreshCookie(ctx, "", time.Unix(0, 0))
	}
	return ended, err
}

// presented returns the refresh token of an operation and how it was sent. Two tokens are refused, because it is
// unclear which session is meant.
func presented(ctx context.Context, input *string) (raw string, delivery model.TokenDelivery, err error) {
	cookie, present := web.RefreshCookie(ctx)
	switch {
	case input != nil && present:
		return "", "", fault.Invalid([]fault.Field{{Path: "input.refreshToken", Reason: fault.ExactlyOneRequired,
			Message: "the refresh token came in a cookie too; send it in one way only"}})
	case input != nil:
		return *input, model.TokenDeliveryBody, nil
	case !present:
		return "", "", required("input.refreshToken")
	case !web.CookieAllowed(ctx):
		return "", "", errOrigin
	}
	return cookie, model.TokenDeliveryCookie, nil
}

// deliveryOf returns how the caller's session receives its refresh tokens: by cookie if the request has a cookie of
// that session.
func deliveryOf(ctx context.Context, id session.ID) model.TokenDelivery {
	cookie, _ := web.RefreshCookie(ctx)
	if named, ok := session.Named(cookie); ok && named == id {
		return model.TokenDeliveryCookie
	}
	return model.TokenDeliveryBody
}
