package social

import (
	"crypto/ecdsa"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// appleSecretLife is the lifetime of a secret of Apple's. Each is made for one exchange.
const appleSecretLife = 5 * time.Minute

// appleKey makes the client's secret at Apple, which is a JWT instead of a text.
type appleKey struct {
	key      *ecdsa.PrivateKey
	id, team string
	audience string
	clientID string
}

// openAppleKey reads the key of a provider, or returns nil if it needs none.
func openAppleKey(p *provider) (*appleKey, error) {
	if p.kind != apple {
		return nil, nil
	}
	raw, err := os.ReadFile(p.settings["key-file"])
	if err != nil {
		return nil, fmt.Errorf("key-file: %w", err)
	}
	key, err := jwt.ParseECPrivateKeyFromPEM(raw)
	if err != nil {
		return nil, fmt.Errorf("key-file is not the key of Apple's that ends in .p8: %w", err)
	}
	return &appleKey{key: key, id: p.settings["key-id"], team: p.settings["team"], audience: p.issuer,
		clientID: p.clientID}, nil
}

func (k *appleKey) clientSecret(now time.Time) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer:    k.team,
		Subject:   k.clientID,
		Audience:  jwt.ClaimStrings{k.audience},
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(appleSecretLife)),
	})
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.key)
	if err != nil {
		return "", fmt.Errorf("make Apple's client secret: %w", err)
	}
	return signed, nil
}
