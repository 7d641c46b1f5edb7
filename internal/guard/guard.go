package guard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Principal is the caller according to a verified access token.
type Principal = token.Claims

// state is the result of authentication: anonymous (both nil), a principal, or the reason why the token was refused. A
// refused token rejects nothing by itself, because public fields ignore it.
type state struct {
	principal *Principal
	refusal   *fault.Error
}

type stateKey struct{}

var (
	errTokenMissing = fault.New(fault.Unauthenticated, fault.TokenMissing,
		"sign in first: this needs a token in the Authorization header")
	errTokenInvalid = fault.New(fault.Unauthenticated, fault.TokenInvalid, "this access token is not valid")
)

// Authenticator verifies bearer tokens.
type Authenticator struct {
	verifier *token.Verifier
	view     *session.View
	activity *session.Activity
	now      func() time.Time
	log      *slog.Logger
}

// NewAuthenticator makes an Authenticator.
func NewAuthenticator(
	verifier *token.Verifier,
	view *session.View,
	activity *session.Activity,
	now func() time.Time,
	log *slog.Logger,
) *Authenticator {
	return &Authenticator{verifier: verifier, view: view, activity: activity, now: now, log: log}
}

// Authenticate verifies an access token and checks its revocation. The error is a *fault.Error: UNAUTHENTICATED with
// the reason, or UNAVAILABLE if revocations cannot be read. It marks a verified token's generation as seen, even if the
// token is stale.
func (a *Authenticator) Authenticate(ctx context.Context, raw string) (*Principal, error) {
	c, err := a.verifier.Verify(raw)
	if err != nil {
		if errors.Is(err, token.ErrExpired) {
			return nil, fault.ErrTokenExpired
		}
		// All forgeries get the same answer. Only the log has the details.
		a.log.DebugContext(ctx, "access token refused", "error", err)
		return nil, errTokenInvalid
	}
	err = a.checkRevoked(ctx, c)
	if err == nil || fault.Is(err, fault.TokenStale) {
		a.activity.Mark(c)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// checkRevoked returns an error if a verified token has been revoked or is stale.
func (a *Authenticator) checkRevoked(ctx context.Context, c *Principal) error {
	reason, err := a.view.Check(ctx, c)
	switch {
	case err != nil:
		return err
	case reason == fault.TokenRevoked:
		return session.ErrTokenRevoked
	case reason == fault.TokenStale:
		return session.ErrTokenStale
	}
	return nil
}

// Connect is Authenticate for a connection that outlives its request. Operations under the returned context belong to
// the token's principal. After an error they belong to no user, even if the request has a valid token.
func (a *Authenticator) Connect(ctx context.Context, raw string) (context.Context, *Principal, error) {
	principal, err := a.Authenticate(ctx, raw)
	return context.WithValue(ctx, stateKey{}, stateOf(principal, err)), principal, err
}

// Check returns an error if the token of the principal in ctx has expired or been revoked since. It returns nil without
// a principal.
func (a *Authenticator) Check(ctx context.Context) error {
	s, _ := ctx.Value(stateKey{}).(*state)
	if s == nil || s.principal == nil {
		return nil
	}
	if !a.now().Before(s.principal.ExpiresAt.Add(token.Leeway)) {
		return fault.ErrTokenExpired
	}
	return a.checkRevoked(ctx, s.principal)
}

// Middleware puts the principal of the bearer token into the request's context. It never rejects a request: public
// fields such as login and refreshToken must work with a stale token.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := web.Bearer(r.Header)
		if raw == "" && err == nil {
			next.ServeHTTP(w, r)
			return
		}
		ctx := r.Context()
		var s *state
		if err == nil {
			s = stateOf(a.Authenticate(ctx, raw))
		} else {
			s = &state{refusal: errTokenInvalid.Because(err)}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, stateKey{}, s)))
	})
}

// stateOf converts the results of Authenticate.
func stateOf(principal *Principal, err error) *state {
	if err == nil {
		return &state{principal: principal}
	}
	return &state{refusal: fault.Of(err)}
}

// signer is a payload that signs a user in, such as session.Grant. Its principal is the caller of the fields below it.
type signer interface{ Principal() *Principal }

// stateAt returns the caller that a field is judged by: the principal of the nearest payload above it that signs a user
// in, else that of the request's token. Siblings of such a payload are not below it and keep the request's token.
func stateAt(ctx context.Context, fc *graphql.FieldContext) state {
	for ; fc != nil; fc = fc.Parent {
		if s, ok := as[signer](fc.Result); ok {
			return state{principal: s.Principal()}
		}
	}
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return *s
	}
	return state{}
}

// Caller returns the principal of the resolver that has ctx. In a resolver of a field that is not @public there always
// is one. Otherwise it may be the zero Principal, whose UserID is empty.
func Caller(ctx context.Context) Principal {
	s := stateAt(ctx, graphql.GetFieldContext(ctx))
	if s.principal == nil {
		return Principal{}
	}
	return *s.principal
}

// Refusal returns why the request has no Principal, as a *fault.Error that a resolver of a public field can answer
// with. It is nil if there is a Principal.
func Refusal(ctx context.Context) error {
	s := stateAt(ctx, graphql.GetFieldContext(ctx))
	switch {
	case s.principal != nil:
		return nil
	case s.refusal != nil:
		return s.refusal
	}
	return errTokenMissing
}
