// Package fault owns the one error type that is made for a caller to read. It knows nothing of
// HTTP or GraphQL: package graph turns a fault into extensions, package web into a status.
//
// Any other error reaching the edge becomes INTERNAL_SERVER_ERROR there, so that a forgotten
// mapping says nothing instead of too much.
package fault

import (
	"errors"
	"time"
)

// Code is the closed list of what a client can branch on; the SDL's enum ErrorCode repeats it.
type Code string

// The codes of the error contract. The GRAPHQL_ and PERSISTED_ ones are Apollo's names.
const (
	Unauthenticated          Code = "UNAUTHENTICATED"
	Forbidden                Code = "FORBIDDEN"
	BadUserInput             Code = "BAD_USER_INPUT"
	NotFound                 Code = "NOT_FOUND"
	Conflict                 Code = "CONFLICT"
	RateLimited              Code = "RATE_LIMITED"
	Unavailable              Code = "UNAVAILABLE"
	Internal                 Code = "INTERNAL_SERVER_ERROR"
	ParseFailed              Code = "GRAPHQL_PARSE_FAILED"
	ValidationFailed         Code = "GRAPHQL_VALIDATION_FAILED"
	PersistedQueryNotFound   Code = "PERSISTED_QUERY_NOT_FOUND"
	PersistedQueryNotAllowed Code = "PERSISTED_QUERY_NOT_ALLOWED"
)

// Reason says which case of a Code it is; the SDL's enum ErrorReason repeats the list, and a test
// holds the two together.
type Reason string

// The reasons, by the code they usually come with.
const (
	// UNAUTHENTICATED
	TokenMissing       Reason = "TOKEN_MISSING"
	TokenInvalid       Reason = "TOKEN_INVALID"
	TokenExpired       Reason = "TOKEN_EXPIRED"
	TokenRevoked       Reason = "TOKEN_REVOKED"
	TokenStale         Reason = "TOKEN_STALE"
	InvalidCredentials Reason = "INVALID_CREDENTIALS"
	RefreshInvalid     Reason = "REFRESH_INVALID"
	RefreshReused      Reason = "REFRESH_REUSED"
	SessionExpired     Reason = "SESSION_EXPIRED"
	SessionRevoked     Reason = "SESSION_REVOKED"

	// FORBIDDEN
	RoleRequired          Reason = "ROLE_REQUIRED"
	NotOwner              Reason = "NOT_OWNER"
	StepUpRequired        Reason = "STEP_UP_REQUIRED"
	IntrospectionDisabled Reason = "INTROSPECTION_DISABLED"
	OriginNotAllowed      Reason = "ORIGIN_NOT_ALLOWED"

	// BAD_USER_INPUT
	Required             Reason = "REQUIRED"
	Malformed            Reason = "MALFORMED"
	TooLong              Reason = "TOO_LONG"
	ExactlyOneRequired   Reason = "EXACTLY_ONE_REQUIRED"
	EmailInvalid         Reason = "EMAIL_INVALID"
	UsernameInvalid      Reason = "USERNAME_INVALID"
	NameInvalid          Reason = "NAME_INVALID"
	PasswordTooShort     Reason = "PASSWORD_TOO_SHORT"
	PasswordTooLong      Reason = "PASSWORD_TOO_LONG"
	PasswordTooCommon    Reason = "PASSWORD_TOO_COMMON"
	PasswordInvalid      Reason = "PASSWORD_INVALID"
	PostRequired         Reason = "POST_REQUIRED"
	BodyMalformed        Reason = "BODY_MALFORMED"
	BodyTooLarge         Reason = "BODY_TOO_LARGE"
	UnsupportedMediaType Reason = "UNSUPPORTED_MEDIA_TYPE"
	NotAcceptable        Reason = "NOT_ACCEPTABLE"
	MethodNotAllowed     Reason = "METHOD_NOT_ALLOWED"

	// NOT_FOUND, CONFLICT
	SessionNotFound Reason = "SESSION_NOT_FOUND"
	UserNotFound    Reason = "USER_NOT_FOUND"
	NodeNotFound    Reason = "NODE_NOT_FOUND"
	EmailTaken      Reason = "EMAIL_TAKEN"
	UsernameTaken   Reason = "USERNAME_TAKEN"
	LastAdmin       Reason = "LAST_ADMIN"

	// GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED
	DocumentTooLarge     Reason = "DOCUMENT_TOO_LARGE"
	TooManyTokens        Reason = "TOO_MANY_TOKENS"
	TooDeep              Reason = "TOO_DEEP"
	TooManyFields        Reason = "TOO_MANY_FIELDS"
	TooManyAliases       Reason = "TOO_MANY_ALIASES"
	TooManyRepeats       Reason = "TOO_MANY_REPEATS"
	TooManyRootFields    Reason = "TOO_MANY_ROOT_FIELDS"
	TooManyDirectives    Reason = "TOO_MANY_DIRECTIVES"
	TooManyItems         Reason = "TOO_MANY_ITEMS"
	InputTooDeep         Reason = "INPUT_TOO_DEEP"
	VariablesTooLarge    Reason = "VARIABLES_TOO_LARGE"
	ExtensionsTooLarge   Reason = "EXTENSIONS_TOO_LARGE"
	IntrospectionTooDeep Reason = "INTROSPECTION_TOO_DEEP"

	// RATE_LIMITED
	TooManyAttempts Reason = "TOO_MANY_ATTEMPTS"

	// UNAVAILABLE
	Overloaded          Reason = "OVERLOADED"
	StorageUnavailable  Reason = "STORAGE_UNAVAILABLE"
	RevocationViewStale Reason = "REVOCATION_VIEW_STALE"
	ClockSkew           Reason = "CLOCK_SKEW"
	TimedOut            Reason = "TIMED_OUT"
)

// ErrTokenExpired refuses an access token at the end of its life: in a request, and on an open stream.
var ErrTokenExpired = New(Unauthenticated, TokenExpired, "this access token has expired: refresh it")

// Error is a refusal that a caller may read: Message is for the caller, Err for the log only.
type Error struct {
	Code    Code
	Reason  Reason
	Message string
	// Err is the cause; it is logged where the error is handled and never sent.
	Err error
	// Fields lists every problem of an input at once, with BadUserInput; with Conflict, the input that
	// clashes with what exists.
	Fields []Field
	// RetryAfter is rounded up to whole seconds on the wire; with RateLimited and Unavailable only.
	RetryAfter time.Duration
	// Requires says what would have been enough; with Forbidden only.
	Requires *Requirement
}

// Field is one problem of one input field.
type Field struct {
	// Path is the argument path as the client wrote it, such as "input.email".
	Path    string `json:"path"`
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
}

// Requirement is what a guarded field asks for.
type Requirement struct {
	Roles []string `json:"roles,omitempty"`
	// MaxAge is the greatest age in seconds of the last proof of a credential.
	MaxAge int `json:"maxAge,omitempty"`
}

// New makes an error with a message that the caller may read.
func New(code Code, reason Reason, message string) *Error {
	return &Error{Code: code, Reason: reason, Message: message}
}

// Invalid makes the BadUserInput error for a list of field problems, and nil for an empty list.
// The result is the error interface on purpose: a nil *Error in an error is not nil.
func Invalid(fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	e := New(BadUserInput, fields[0].Reason, fields[0].Message)
	if len(fields) > 1 {
		e.Message = "several fields need attention: see extensions.fields"
	}
	e.Fields = fields
	return e
}

// Busy makes an Unavailable error that tells when to try again.
func Busy(reason Reason, message string, retryAfter time.Duration) *Error {
	e := New(Unavailable, reason, message)
	e.RetryAfter = retryAfter
	return e
}

// Because returns a copy of e with the cause err, for the log.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// As returns the first fault in err's chain, or nil.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// Of returns the first fault in err's chain. Without one, err is unexpected.
func Of(err error) *Error {
	if e := As(err); e != nil {
		return e
	}
	return Unexpected(err)
}

// Unexpected makes the Internal error for a cause that the caller may not read.
func Unexpected(err error) *Error { return New(Internal, "", "internal error").Because(err) }

// Is reports whether err holds a fault with this reason.
func Is(err error, reason Reason) bool {
	e := As(err)
	return e != nil && e.Reason == reason
}
