package social

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// protocol is how a provider is spoken to: openID or gitHubAPI.
type protocol interface {
	// begin returns the page of the provider that the browser opens.
	begin(ctx context.Context, f *flow) (string, error)
	// issues returns an error if an answer cannot be from the provider.
	issues(ctx context.Context, answer url.Values) error
	// claims redeems the code of an answer.
	claims(ctx context.Context, f *flow, code string) (*Claims, error)
}

// site is a provider and its protocol.
type site struct {
	*provider
	protocol
}

// Provider is what a frontend shows of a provider.
type Provider struct {
	Name, Label string
	// StartURL is where the browser begins. The page adds return_to and challenge.
	StartURL string
}

// Service signs users in with other providers.
type Service struct {
	db         *store.DB
	challenges *challenge.Service
	throttle   *throttle.Throttle
	secret     *secret.Secret
	sites      []site
	admits     func(returnTo string) bool
	publicURL  string
	publicPath string
	onEnd      func(provider, outcome string)
	now        func() time.Time
	log        *slog.Logger
}

// Deployment is where the server is found.
type Deployment struct {
	PublicURL, PublicPath string
	// Admits reports whether a browser may be sent back to an address.
	Admits func(returnTo string) bool
	// HasRole reports whether the schema has a role.
	HasRole func(token.Role) bool
}

// New returns a Service. It connects to no provider. onEnd is called each time a browser is sent
// back, with SUCCEEDED or a reason. Errors name the setting at fault.
func New(db *store.DB, challenges *challenge.Service, throttle *throttle.Throttle, s *secret.Secret, list []Options,
	d Deployment, onEnd func(provider, outcome string), now func() time.Time, log *slog.Logger) (*Service, error) {
	service := &Service{db: db, challenges: challenges, throttle: throttle, secret: s, admits: d.Admits,
		publicURL: d.PublicURL, publicPath: d.PublicPath, onEnd: onEnd, now: now, log: log}
	for _, o := range list {
		one, err := newSite(o, d, now)
		if err != nil {
			return nil, fmt.Errorf("--provider %s: %w", o.Name, err)
		}
		isSame := func(other site) bool { return other.name == one.name || other.issuer == one.issuer }
		if slices.ContainsFunc(service.sites, isSame) {
			return nil, fmt.Errorf("--provider %s: another has the same name or issuer", o.Name)
		}
		service.sites = append(service.sites, one)
	}
	return service, nil
}

func newSite(o Options, d Deployment, now func() time.Time) (site, error) {
	p, err := newProvider(o, d.PublicURL, d.HasRole)
	if err != nil {
		return site{}, err
	}
	if p.kind == gitHub {
		return site{p, &gitHubAPI{provider: p, client: newClient()}}, nil
	}
	key, err := openAppleKey(p)
	if err != nil {
		return site{}, err
	}
	return site{p, &openID{provider: p, client: newClient(), now: now, key: key}}, nil
}

// Providers returns the providers in the order of the settings.
func (s *Service) Providers() []*Provider {
	list := make([]*Provider, len(s.sites))
	for i, one := range s.sites {
		list[i] = &Provider{Name: one.name, Label: one.label, StartURL: s.publicURL + "/auth/" + one.name + "/start"}
	}
	return list
}

// issuers returns the issuers that can sign users in now.
func (s *Service) issuers() []string {
	list := make([]string, len(s.sites))
	for i, one := range s.sites {
		list[i] = one.issuer
	}
	return list
}

// issue returns a code that stands for verified claims. It is only useful to the page with the verifier of challenge.
func (s *Service) issue(ctx context.Context, c *Claims, pageChallenge string) (code string, err error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		reference, err := s.challenges.Issue(tx,
			&challenge.Challenge{Kind: challenge.FederatedSignIn, Subject: pageChallenge, Payload: payload})
		if err != nil {
			return err
		}
		code, err = s.challenges.Reveal(reference)
		return err
	})
	return code, err
}

// Check returns the claims that a code stands for, without using it up. The code is refused like an unknown one if
// verifier is not that of the page that began (RFC 7636, section 4.6).
func (s *Service) Check(ctx context.Context, code, verifier string) (*Claims, *challenge.Challenge, error) {
	proof, err := s.challenges.Check(ctx, challenge.FederatedSignIn, code)
	if err != nil {
		return nil, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(challengeOf(verifier)), []byte(proof.Subject)) != 1 {
		return nil, nil, proof.Kind.Refusal()
	}
	var c Claims
	if err := json.Unmarshal(proof.Payload, &c); err != nil {
		return nil, nil, fmt.Errorf("decode claims: %w", err)
	}
	return &c, proof, nil
}

// Redeem uses the code up in tx.
func (s *Service) Redeem(tx *store.Tx, proof *challenge.Challenge) error {
	return s.challenges.Redeem(tx, proof)
}

// challengeOf returns the S256 challenge of a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// isChallenge reports whether text can be an S256 challenge.
func isChallenge(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == sha256.Size && base64.RawURLEncoding.EncodeToString(raw) == text
}

// Managed returns the roles that the settings of the provider of an issuer give and withdraw.
func (s *Service) Managed(issuer string) (roles []token.Role) {
	for _, one := range s.sites {
		if one.issuer == issuer {
			for _, r := range one.roles {
				roles = append(roles, r.role)
			}
		}
	}
	return roles
}

// Label returns what users read of the provider of an issuer, or name once it is no longer configured.
func (s *Service) Label(issuer, name string) string {
	for _, one := range s.sites {
		if one.issuer == issuer {
			return one.label
		}
	}
	return name
}
