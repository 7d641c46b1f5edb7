// Package guard owns who may read what: the bearer token of a request, the marks @auth and @public of
// the schema, and the judgement of every field by them.
//
// It promises that a field is never read by somebody whom its mark does not admit, that a forgotten
// mark is a locked door, and that guarding asks no database. Enforcement keys on the concrete type and
// field: the directives that gqlgen compiles for an object are skipped where a value is reached
// through an interface or a union. It does not know how a session is started, nor any type of the schema.
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

// Principal is who calls, as a verified access token says.
type Principal = token.Claims

// state is what is known of the caller: nothing (anonymous), a principal, or why the token that came
// along was refused. It never rejects by itself; the field that is asked for decides.
type state struct {
	principal *Principal
	refusal   *fault.Error
}

type stateKey struct{}

var (
	errTokenMissing = fault.New(fault.Unauthenticated, fault.TokenMissing, "sign in first: this needs a token in the Authorization header")
	errTokenInvalid = fault.New(fault.Unauthenticated, fault.TokenInvalid, "this access token is not valid")
)

// Authenticator turns a bearer token into what is known of the caller.
type Authenticator struct {
	verifier *token.Verifier
	view     *session.View
	activity *session.Activity
	now      func() time.Time
	log      *slog.Logger
}

// NewAuthenticator wires an Authenticator.
func NewAuthenticator(verifier *token.Verifier, view *session.View, activity *session.Activity, now func() time.Time, log *slog.Logger) *Authenticator {
	return &Authenticator{verifier: verifier, view: view, activity: activity, now: now, log: log}
}

// Authenticate verifies an access token and looks for its revocation. The error is a *fault.Error:
// UNAUTHENTICATED with the reason, or UNAVAILABLE where revocations cannot be told. A token that
// verifies counts as seen, and so does its generation.
func (a *Authenticator) Authenticate(ctx context.Context, raw string) (*Principal, error) {
	c, err := a.verifier.Verify(raw)
	if err != nil {
		if errors.Is(err, token.ErrExpired) {
			return nil, fault.ErrTokenExpired
		}
		// One answer for every forgery; what was wrong is for the log only.
		a.log.DebugContext(ctx, "access token refused", "error", err)
		return nil, errTokenInvalid
	}
	err = a.standing(ctx, c)
	if err == nil || fault.Is(err, fault.TokenStale) {
		a.activity.Mark(c)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// standing tells what has been revoked of a token since it was verified.
func (a *Authenticator) standing(ctx context.Context, c *Principal) error {
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

// Connect is Authenticate for a connection that lives longer than a request: operations under the
// context that it returns are the principal's, or with an error nobody's, whoever the request is of.
func (a *Authenticator) Connect(ctx context.Context, raw string) (context.Context, *Principal, error) {
	principal, err := a.Authenticate(ctx, raw)
	return context.WithValue(ctx, stateKey{}, stateOf(principal, err)), principal, err
}

// Check tells whether the principal of ctx, if there is one, may go on: whether their token has
// neither expired nor been revoked since.
func (a *Authenticator) Check(ctx context.Context) error {
	s, _ := ctx.Value(stateKey{}).(*state)
	if s == nil || s.principal == nil {
		return nil
	}
	if !a.now().Before(s.principal.ExpiresAt.Add(token.Leeway)) {
		return fault.ErrTokenExpired
	}
	return a.standing(ctx, s.principal)
}

// Middleware reads the bearer token into the context. It never rejects: a public field answers
// whatever token came along, so that login and refreshToken work with a stale one.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := web.Bearer(r.Header)
		if raw == "" && err == nil {
			next.ServeHTTP(w, r)
			return
		}
		ctx := r.Context()
		s := &state{refusal: errTokenInvalid.Because(err)}
		if err == nil {
			s = stateOf(a.Authenticate(ctx, raw))
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, stateKey{}, s)))
	})
}

// stateOf is what Authenticate found.
func stateOf(principal *Principal, err error) *state {
	if err == nil {
		return &state{principal: principal}
	}
	return &state{refusal: fault.Of(err)}
}

// signer is a value that signs somebody in, such as session.Grant. Below it, that is the caller.
type signer interface{ Principal() *Principal }

// stateAt finds whom a field is judged by: the nearest payload above it that signs somebody in, else
// the bearer of the request. A payload's siblings are not below it and stay with the bearer.
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

// Caller returns who calls the resolver that has ctx. In a resolver of a field that is not @public
// there always is somebody; for a stranger it is the zero Principal, whose UserID is empty.
func Caller(ctx context.Context) Principal {
	s := stateAt(ctx, graphql.GetFieldContext(ctx))
	if s.principal == nil {
		return Principal{}
	}
	return *s.principal
}

// Refusal returns why the request has no Principal: a *fault.Error that a resolver of a public field
// can answer with. It is nil if there is one.
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
