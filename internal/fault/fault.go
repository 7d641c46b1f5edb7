package fault

import (
	"errors"
	"time"
)

// Code is the kind of an error, for clients to branch on. The list is closed; the SDL enum ErrorCode repeats it.
type Code string

// The error codes. Apollo defines those that start with GRAPHQL_ and PERSISTED_.
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

// Reason is a specific case of a Code. The SDL enum ErrorReason repeats the list; a test compares the two.
type Reason string

// The reasons, grouped by their usual code.
const (
	// UNAUTHENTICATED
	TokenMissing           Reason = "TOKEN_MISSING"
	TokenInvalid           Reason = "TOKEN_INVALID"
	TokenExpired           Reason = "TOKEN_EXPIRED"
	TokenRevoked           Reason = "TOKEN_REVOKED"
	TokenStale             Reason = "TOKEN_STALE"
	InvalidCredentials     Reason = "INVALID_CREDENTIALS"
	PasskeyUnknown         Reason = "PASSKEY_UNKNOWN"
	PasswordChangeRequired Reason = "PASSWORD_CHANGE_REQUIRED"
	SecondFactorRequired   Reason = "SECOND_FACTOR_REQUIRED"
	RefreshInvalid         Reason = "REFRESH_INVALID"
	RefreshReused          Reason = "REFRESH_REUSED"
	SessionExpired         Reason = "SESSION_EXPIRED"
	SessionRevoked         Reason = "SESSION_REVOKED"
	SignInCanceled         Reason = "SIGN_IN_CANCELED"

	// FORBIDDEN
	RoleRequired              Reason = "ROLE_REQUIRED"
	NotOwner                  Reason = "NOT_OWNER"
	StepUpRequired            Reason = "STEP_UP_REQUIRED"
	SecondFactorSetupRequired Reason = "SECOND_FACTOR_SETUP_REQUIRED"
	EmailNotVerified          Reason = "EMAIL_NOT_VERIFIED"
	IntrospectionDisabled     Reason = "INTROSPECTION_DISABLED"
	OriginNotAllowed          Reason = "ORIGIN_NOT_ALLOWED"
	NotOffered                Reason = "NOT_OFFERED"

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
	PasswordBreached     Reason = "PASSWORD_BREACHED"
	PasswordInvalid      Reason = "PASSWORD_INVALID"
	PostRequired         Reason = "POST_REQUIRED"
	BodyMalformed        Reason = "BODY_MALFORMED"
	BodyTooLarge         Reason = "BODY_TOO_LARGE"
	UnsupportedMediaType Reason = "UNSUPPORTED_MEDIA_TYPE"
	NotAcceptable        Reason = "NOT_ACCEPTABLE"
	MethodNotAllowed     Reason = "METHOD_NOT_ALLOWED"
	ChallengeInvalid     Reason = "CHALLENGE_INVALID"

	// NOT_FOUND, CONFLICT
	SessionNotFound    Reason = "SESSION_NOT_FOUND"
	UserNotFound       Reason = "USER_NOT_FOUND"
	InvitationNotFound Reason = "INVITATION_NOT_FOUND"
	NodeNotFound       Reason = "NODE_NOT_FOUND"
	IdentityNotFound   Reason = "IDENTITY_NOT_FOUND"
	EmailTaken         Reason = "EMAIL_TAKEN"
	UsernameTaken      Reason = "USERNAME_TAKEN"
	IdentityTaken      Reason = "IDENTITY_TAKEN"
	LinkRequired       Reason = "LINK_REQUIRED"
	LastAdmin          Reason = "LAST_ADMIN"
	LastCredential     Reason = "LAST_CREDENTIAL"
	PasskeyNotFound    Reason = "PASSKEY_NOT_FOUND"
	PasskeyTaken       Reason = "PASSKEY_TAKEN"
	TooManyPasskeys    Reason = "TOO_MANY_PASSKEYS"

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
	ProviderUnavailable Reason = "PROVIDER_UNAVAILABLE"
	ProviderInvalid     Reason = "PROVIDER_INVALID"
)

// ErrTokenExpired refuses an expired access token, in a request or on an open stream.
var ErrTokenExpired = New(Unauthenticated, TokenExpired, "this access token has expired: refresh it")

// Error is an error for a caller: Message goes to the caller, Err only to the log.
type Error struct {
	Code    Code
	Reason  Reason
	Message string
	// Err is the cause. It is logged where the error is handled, and never sent.
	Err error
	// Fields lists all problems of an input (BadUserInput), or the input that conflicts with existing data (Conflict).
	Fields []Field
	// RetryAfter is sent in whole seconds, rounded up. Only for RateLimited and Unavailable.
	RetryAfter time.Duration
	// Requires describes the missing permission. Only for Forbidden.
	Requires *Requirement
	// Challenge continues a sign-in that lacks a second factor. Only for SecondFactorRequired.
	Challenge *Challenge
}

// Field is one problem of one input field.
type Field struct {
	// Path is the path of the argument, such as "input.email".
	Path    string `json:"path"`
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
}

// Challenge is a sign-in that waits for a second factor. Its ID is a secret.
type Challenge struct {
	ID string `json:"id"`
	// Methods are the factors that can answer, as in the SDL's enum SecondFactorMethod.
	Methods   []string  `json:"methods"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Requirement is the permission that a guarded field requires.
type Requirement struct {
	Roles []string `json:"roles,omitempty"`
	// MaxAge is the maximum age of the last authentication, in seconds.
	MaxAge int `json:"maxAge,omitempty"`
	// Verified requires a verified e-mail address.
	Verified bool `json:"verified,omitempty"`
	// MFA requires a session that has proved two factors.
	MFA bool `json:"mfa,omitempty"`
}

// New returns an error whose message the caller may read.
func New(code Code, reason Reason, message string) *Error {
	return &Error{Code: code, Reason: reason, Message: message}
}

// Invalid returns a BadUserInput error for a list of field problems, or nil for an empty list. It returns the interface
// because a nil *Error in an error is not nil.
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

// Busy returns an Unavailable error with RetryAfter.
func Busy(reason Reason, message string, retryAfter time.Duration) *Error {
	e := New(Unavailable, reason, message)
	e.RetryAfter = retryAfter
	return e
}

// Because returns a copy of e with the cause err.
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

// Of returns the first fault in err's chain, or Unexpected(err) if there is none.
func Of(err error) *Error {
	if e := As(err); e != nil {
		return e
	}
	return Unexpected(err)
}

// Unexpected returns the Internal error. It hides its cause err from the caller.
func Unexpected(err error) *Error { return New(Internal, "", "internal error").Because(err) }

// Is reports whether the first fault in err's chain has this reason.
func Is(err error, reason Reason) bool {
	e := As(err)
	return e != nil && e.Reason == reason
}
