package passkey

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Site is where passkeys work.
type Site struct {
	// ID is the domain that browsers bind passkeys to (RP ID). With another one, all passkeys are useless. Empty turns
	// passkeys off.
	ID string
	// Origins are those of the pages, and apps, that may use the passkeys.
	Origins []string
}

// patience is how long a browser waits for the user: as long as the challenge is valid.
const patience = 5 * time.Minute

func (s Site) relyingParty() (*webauthn.WebAuthn, error) {
	if s.ID == "" {
		return nil, nil
	}
	config := &webauthn.Config{
		RPID:          s.ID,
		RPDisplayName: s.ID,
		// No attestation: it tells which device a user has, and no policy here asks for a certain one.
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: patience},
			Registration: webauthn.TimeoutConfig{Timeout: patience},
		},
		// Password managers add outputs of extensions that were not requested. None is read here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	}
	for _, origin := range s.Origins {
		if protocol.IsOpaqueOrigin(origin) {
			config.RPOpaqueOrigins = append(config.RPOpaqueOrigins, origin)
			continue
		}
		if !isSecure(origin) {
			return nil, fmt.Errorf("--webauthn-origins: browsers offer passkeys to https:// pages, not to %s", origin)
		}
		config.RPOrigins = append(config.RPOrigins, origin)
	}
	if _, err := protocol.NewRelatedOrigins(config.RPOrigins...); err != nil {
		return nil, fmt.Errorf("--webauthn-origins: %w", err)
	}
	relyingParty, err := webauthn.New(config)
	if err != nil {
		return nil, fmt.Errorf("--webauthn-rp-id: %w", err)
	}
	return relyingParty, nil
}

// isSecure reports whether browsers offer passkeys to the pages of an origin.
func isSecure(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost")
}

// Related returns the document for /.well-known/webauthn, which lets pages outside the site's domain use its passkeys
// (WebAuthn level 3, section 5.11). It is nil if passkeys are off.
func (s *Service) Related() ([]byte, error) {
	if s.webauthn == nil {
		return nil, nil
	}
	related, err := s.webauthn.RelatedOrigins()
	if err != nil {
		return nil, fmt.Errorf("related origins: %w", err)
	}
	return json.Marshal(related)
}
