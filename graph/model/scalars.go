// Package model owns the Go side of the schema outside of domain types: generated inputs and payloads, and the encoding
// of the domain's scalars and enums. It contains no logic.
package model

import (
	"errors"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// MarshalTime writes a time as RFC 3339 in UTC.
func MarshalTime(t store.Time) graphql.Marshaler {
	return graphql.MarshalString(t.Std().Format(time.RFC3339Nano))
}

// UnmarshalTime reads RFC 3339 and truncates it to microseconds.
func UnmarshalTime(v any) (store.Time, error) {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fault.New(fault.BadUserInput, fault.Malformed, "write it as RFC 3339 does, such as 2006-01-02T15:04:05Z")
	}
	return store.TimeOf(t), nil
}

// MarshalInt writes an Int, which the GraphQL specification limits to 32 bits.
func MarshalInt(i int32) graphql.Marshaler { return graphql.MarshalInt32(i) }

// UnmarshalInt reads an Int of 32 bits. It refuses strings, which gqlgen's own function accepts against the
// specification.
func UnmarshalInt(v any) (int32, error) {
	if _, text := v.(string); text {
		return 0, errors.New("an Int is a number")
	}
	return graphql.UnmarshalInt32(v)
}

// MarshalJSON writes an object.
func MarshalJSON(v map[string]any) graphql.Marshaler { return graphql.MarshalAny(v) }

// UnmarshalJSON reads an object, whose size the limits of variables bound.
func UnmarshalJSON(v any) (map[string]any, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is not an object")
	}
	return object, nil
}

// MarshalRole writes a role. Only the SDL's enum Role lists the roles: validation checks input against it, so a team
// extends only the enum.
func MarshalRole(r token.Role) graphql.Marshaler { return graphql.MarshalString(string(r)) }

// UnmarshalRole reads a role.
func UnmarshalRole(v any) (token.Role, error) {
	s, err := graphql.UnmarshalString(v)
	return token.Role(s), err
}

// MarshalLogoutScope writes a scope.
func MarshalLogoutScope(s session.Scope) graphql.Marshaler { return graphql.MarshalString(string(s)) }

// UnmarshalLogoutScope reads a scope, which validation has checked against the enum.
func UnmarshalLogoutScope(v any) (session.Scope, error) {
	s, err := graphql.UnmarshalString(v)
	return session.Scope(s), err
}

// MarshalErrorReason writes a reason.
func MarshalErrorReason(r fault.Reason) graphql.Marshaler { return graphql.MarshalString(string(r)) }

// UnmarshalErrorReason reads a reason, which validation has checked against the enum.
func UnmarshalErrorReason(v any) (fault.Reason, error) {
	s, err := graphql.UnmarshalString(v)
	return fault.Reason(s), err
}

// MarshalPasswordHint writes a hint.
func MarshalPasswordHint(h password.Hint) graphql.Marshaler { return graphql.MarshalString(string(h)) }

// UnmarshalPasswordHint reads a hint, which validation has checked against the enum.
func UnmarshalPasswordHint(v any) (password.Hint, error) {
	s, err := graphql.UnmarshalString(v)
	return password.Hint(s), err
}

// MarshalUserID writes the id of a user.
func MarshalUserID(id token.UserID) graphql.Marshaler { return graphql.MarshalID(string(id)) }

// UnmarshalUserID reads the id of a user. It accepts any string.
func UnmarshalUserID(v any) (token.UserID, error) {
	s, err := graphql.UnmarshalID(v)
	return token.UserID(s), err
}

// MarshalSessionID writes the id of a session.
func MarshalSessionID(id token.SessionID) graphql.Marshaler { return graphql.MarshalID(string(id)) }

// UnmarshalSessionID reads the id of a session. It accepts any string.
func UnmarshalSessionID(v any) (token.SessionID, error) {
	s, err := graphql.UnmarshalID(v)
	return token.SessionID(s), err
}

// MarshalPasskeyID writes the id of a passkey.
func MarshalPasskeyID(id passkey.ID) graphql.Marshaler { return graphql.MarshalID(string(id)) }

// UnmarshalPasskeyID reads the id of a passkey. It accepts any string.
func UnmarshalPasskeyID(v any) (passkey.ID, error) {
	s, err := graphql.UnmarshalID(v)
	return passkey.ID(s), err
}

// MarshalAuditAction writes an action, which the enum spells in capitals.
func MarshalAuditAction(a audit.Action) graphql.Marshaler {
	return graphql.MarshalString(strings.ToUpper(string(a)))
}

// UnmarshalAuditAction reads an action, which validation has checked against the enum.
func UnmarshalAuditAction(v any) (audit.Action, error) {
	s, err := graphql.UnmarshalString(v)
	return audit.Action(strings.ToLower(s)), err
}

// MarshalInvitationState writes a state, which the enum spells in capitals.
func MarshalInvitationState(s account.InvitationState) graphql.Marshaler {
	return graphql.MarshalString(strings.ToUpper(string(s)))
}

// UnmarshalInvitationState reads a state, which validation has checked against the enum.
func UnmarshalInvitationState(v any) (account.InvitationState, error) {
	s, err := graphql.UnmarshalString(v)
	return account.InvitationState(strings.ToLower(s)), err
}

// MarshalSignInMethod writes a method, which the enum spells in capitals.
func MarshalSignInMethod(m signin.Method) graphql.Marshaler {
	return graphql.MarshalString(strings.ToUpper(string(m)))
}

// UnmarshalSignInMethod reads a method, which validation has checked against the enum.
func UnmarshalSignInMethod(v any) (signin.Method, error) {
	s, err := graphql.UnmarshalString(v)
	return signin.Method(strings.ToLower(s)), err
}

// MarshalRegistrationMode writes a mode, which the enum spells in capitals.
func MarshalRegistrationMode(r signin.Registration) graphql.Marshaler {
	return graphql.MarshalString(strings.ToUpper(string(r)))
}

// UnmarshalRegistrationMode reads a mode, which validation has checked against the enum.
func UnmarshalRegistrationMode(v any) (signin.Registration, error) {
	s, err := graphql.UnmarshalString(v)
	return signin.Registration(strings.ToLower(s)), err
}

// MarshalAuditOutcome writes an outcome, which the enum spells in capitals.
func MarshalAuditOutcome(o audit.Outcome) graphql.Marshaler {
	return graphql.MarshalString(strings.ToUpper(string(o)))
}

// UnmarshalAuditOutcome reads an outcome, which validation has checked against the enum.
func UnmarshalAuditOutcome(v any) (audit.Outcome, error) {
	s, err := graphql.UnmarshalString(v)
	return audit.Outcome(strings.ToLower(s)), err
}
