package app

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/store"
)

func site(c *config.Config) passkey.Site {
	return passkey.Site{ID: c.WebAuthnRPID, Origins: c.WebAuthnOrigins}
}

// passkeyChecks judges the settings of passkeys.
func passkeyChecks(c *config.Config) []Check {
	if c.WebAuthnRPID == "" {
		return []Check{{
			Name: "passkeys", Advice: true, Bad: "they are off, because browsers offer them to pages of https:// domains only",
			Fix: "set --public-url, or --webauthn-rp-id and --webauthn-origins",
		}}
	}
	_, err := passkey.New(nil, nil, site(c))
	return []Check{{
		Name: "passkeys", OK: err == nil, Bad: message(err), Good: "they belong to " + c.WebAuthnRPID,
		Fix: "name each origin in full; browsers admit origins of at most five domains",
	}}
}

// strayCheck finds passkeys that a change of --webauthn-rp-id has made useless.
func strayCheck(ctx context.Context, c *config.Config, db *store.DB) Check {
	n, err := passkey.Elsewhere(ctx, db, site(c))
	return Check{
		Name: "RP ID", OK: err == nil && n == 0, Advice: err == nil,
		Good: "all passkeys were created for it",
		Bad:  fmt.Sprintf("%d passkeys were created for another domain, and do not work", n) + message(err),
		Fix:  "set --webauthn-rp-id to the former domain, or have the users create passkeys again",
	}
}
