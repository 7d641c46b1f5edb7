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

// Options is what the settings offer to people without a session.
type Options struct {
	Password          bool
	Code              bool
	Registration      Registration
	Mail              bool
	VerifiedEmail     bool
	MinPasswordLength int32
}

// Options returns what the settings offer. It reads no database.
func (s *Service) Options() *Options {
	m := s.accounts.Mailing()
	return &Options{
		Password:          true,
		Code:              m.Codes,
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
