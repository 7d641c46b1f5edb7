package signin

import "github.com/graphwarden/graphwarden/internal/account"

// Registration is how accounts are created. The SDL's enum RegistrationMode has the same names in capitals.
type Registration string

// The modes, as in --register.
const (
	RegistrationOpen   Registration = "open"
	RegistrationSilent Registration = "silent"
	RegistrationInvite Registration = "invite"
	RegistrationClosed Registration = "closed"
)

// Method is a way to sign in. The SDL's enum SignInMethod has the same names in capitals.
type Method string

// The ways, as in --sign-in.
const (
	PasswordMethod Method = "password"
	CodeMethod     Method = "code"
)

// Options is what the settings offer to people without a session.
type Options struct {
	Methods           []Method
	Registration      Registration
	Mail              bool
	VerifiedEmail     bool
	MinPasswordLength int32
}

// Options returns what the settings offer. It reads no database.
func (s *Service) Options() *Options {
	m := s.accounts.Mailing()
	methods := []Method{PasswordMethod}
	if m.Codes {
		methods = append(methods, CodeMethod)
	}
	return &Options{
		Methods:           methods,
		Registration:      registration(m),
		Mail:              m.Outbox.Enabled(),
		VerifiedEmail:     m.Requires,
		MinPasswordLength: int32(s.policy.Least()),
	}
}

func registration(m account.Mailing) Registration {
	switch {
	case m.Invites:
		return RegistrationInvite
	case m.Closed:
		return RegistrationClosed
	case m.Silent:
		return RegistrationSilent
	}
	return RegistrationOpen
}
