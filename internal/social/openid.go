package social

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

const (
	// discoveryLife is how long what a provider announces about itself is used. Its keys are read when a token has an
	// unknown one.
	discoveryLife = time.Hour
	// discoveryPause is how long a provider that failed is not asked again.
	discoveryPause = 5 * time.Second
)

// openID speaks OpenID Connect.
type openID struct {
	*provider
	client *http.Client
	now    func() time.Time
	key    *appleKey // nil unless the client's secret is made with a key

	flight  singleflight.Group
	mu      sync.Mutex
	known   *metadata
	failed  error
	triedAt time.Time
}

// metadata is what a provider announces about itself.
type metadata struct {
	provider   *oidc.Provider
	keys       oidc.KeySet
	algorithms []string // of ID tokens
	endpoint   oauth2.Endpoint
	sendsIss   bool // with every answer (RFC 9207)
}

// discover returns the metadata of the provider. Concurrent callers share one request.
func (p *openID) discover(ctx context.Context) (*metadata, error) {
	if known, failed, isFresh := p.cached(); isFresh {
		return known, failed
	}
	done := p.flight.DoChan("", func() (any, error) {
		known, err := p.fetch(context.WithoutCancel(ctx))
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failed, p.triedAt = err, p.now()
		if err == nil || p.known == nil {
			p.known = known
		}
		return nil, nil
	})
	select {
	case <-done:
		known, failed, _ := p.cached()
		return known, failed
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
	}
}

// cached returns the metadata, or why there are none, and whether that is recent enough. Metadata are used beyond their
// life while the provider does not answer.
func (p *openID) cached() (known *metadata, failed error, isFresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := p.now().Sub(p.triedAt)
	if p.failed != nil {
		isFresh = age < discoveryPause
	} else {
		isFresh = p.known != nil && age < discoveryLife
	}
	if p.known != nil {
		return p.known, nil, isFresh
	}
	return nil, p.failed, isFresh
}

// fetch reads the metadata of the provider, which must be of the configured issuer.
func (p *openID) fetch(ctx context.Context) (*metadata, error) {
	found, err := oidc.NewProvider(with(ctx, p.client), p.issuer)
	if err != nil {
		return nil, fmt.Errorf("discover provider: %w", err)
	}
	var more struct {
		Keys        string   `json:"jwks_uri"`
		UserInfo    string   `json:"userinfo_endpoint"`
		Algorithms  []string `json:"id_token_signing_alg_values_supported"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		SendsIss    bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("discover provider: %w", err)
	}
	endpoint := found.Endpoint()
	for _, announced := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys, more.UserInfo} {
		if !p.isSafe(announced) {
			return nil, errors.New("discover provider: it announces an address that is not an https:// URL")
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if more.AuthMethods != nil && !slices.Contains(more.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	keys := oidc.NewRemoteKeySet(with(ctx, p.client), more.Keys)
	isWeak := func(algorithm string) bool { return !slices.Contains(asymmetric, algorithm) }
	return &metadata{provider: found, keys: keys, algorithms: slices.DeleteFunc(more.Algorithms, isWeak),
		endpoint: endpoint, sendsIss: more.SendsIss}, nil
}

// asymmetric are the accepted algorithms of ID tokens. HMAC is not one of them: its key would be the client's secret,
// which is made for another purpose and may be short.
var asymmetric = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256,
	oidc.PS384, oidc.PS512, oidc.EdDSA}

// watched records why the signature of a token was not verified, which the verifier's error does not wrap.
type watched struct {
	oidc.KeySet
	err error
}

// VerifySignature implements oidc.KeySet.
func (w *watched) VerifySignature(ctx context.Context, jwt string) (payload []byte, err error) {
	payload, w.err = w.KeySet.VerifySignature(ctx, jwt)
	return payload, w.err
}

// isSafe reports whether an announced address may be used. Only a provider on this machine may do without TLS.
func (p *openID) isSafe(announced string) bool {
	u, err := url.Parse(announced)
	mayBePlain := strings.HasPrefix(p.issuer, "http://")
	return err == nil && (announced == "" || u.Scheme == "https" || mayBePlain && isLoopback(u))
}

// config returns the client's side of the exchange with the provider.
func (p *openID) config(m *metadata) (*oauth2.Config, error) {
	secret := p.clientSecret
	if p.key != nil {
		var err error
		if secret, err = p.key.clientSecret(p.now()); err != nil {
			return nil, err
		}
	}
	return &oauth2.Config{ClientID: p.clientID, ClientSecret: secret, Endpoint: m.endpoint, RedirectURL: p.redirectURL,
		Scopes: p.scopes}, nil
}

// begin returns the page of the provider that the browser opens.
func (p *openID) begin(ctx context.Context, f *flow) (string, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	c, err := p.config(m)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.Verifier), oidc.Nonce(f.Nonce)}
	if p.formPost {
		options = append(options, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	return c.AuthCodeURL(f.State, options...), nil
}

// issues checks the issuer in an answer (RFC 9207): in a mix-up, another provider sent the browser here.
func (p *openID) issues(ctx context.Context, answer url.Values) error {
	m, err := p.discover(ctx)
	if err != nil {
		return err
	}
	if m.sendsIss && !answer.Has("iss") {
		return errors.New("the answer does not name its issuer")
	}
	return nil
}

// claims redeems the code of an answer and verifies the ID token.
func (p *openID) claims(ctx context.Context, f *flow, code string) (*Claims, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.config(m)
	if err != nil {
		return nil, err
	}
	tokens, err := exchange(with(ctx, p.client), c, code, f.Verifier)
	if err != nil {
		return nil, err
	}
	claims, err := p.verify(ctx, m, tokens, f.Nonce)
	if err != nil {
		return nil, err
	}
	if claims["email"] == nil && m.provider.UserInfoEndpoint() != "" {
		if err := p.complete(ctx, m, tokens, claims); err != nil {
			return nil, err
		}
	}
	return p.read(claims)
}

// verify checks the ID token (OpenID Connect Core, section 3.1.3.7) and returns its claims.
func (p *openID) verify(ctx context.Context, m *metadata, tokens *oauth2.Token, nonce string) (map[string]any, error) {
	raw, _ := tokens.Extra("id_token").(string)
	keys := &watched{KeySet: m.keys}
	verifier := oidc.NewVerifier(p.issuer, keys,
		&oidc.Config{ClientID: p.clientID, SupportedSigningAlgs: m.algorithms, Now: p.now})
	verified, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("verify ID token: %w", cmp.Or(keys.err, err))
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read ID token: %w", err)
	}
	azp, hasAzp := claims["azp"]
	switch {
	case subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1:
		return nil, errors.New("the ID token is of another sign-in: its nonce differs")
	case hasAzp && azp != p.clientID, len(verified.Audience) > 1 && !hasAzp:
		return nil, errors.New("the ID token was issued to another client")
	case verified.AccessTokenHash != "" && verified.VerifyAccessToken(tokens.AccessToken) != nil:
		return nil, errors.New("the ID token is of another access token")
	case p.kind == microsoft && claims["tid"] != p.settings["tenant"]:
		return nil, errors.New("the ID token is of another directory")
	}
	return claims, nil
}

// complete adds the claims that the ID token lacks. They must be about the same user (OpenID Connect Core, section
// 5.3.2).
func (p *openID) complete(ctx context.Context, m *metadata, tokens *oauth2.Token, claims map[string]any) error {
	info, err := m.provider.UserInfo(with(ctx, p.client), oauth2.StaticTokenSource(tokens))
	if err != nil {
		return fmt.Errorf("read claims of user: %w", err)
	}
	if info.Subject != claims["sub"] {
		return errors.New("the provider sent the claims of another user")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("read claims of user: %w", err)
	}
	for name, value := range more {
		if _, isKnown := claims[name]; !isKnown {
			claims[name] = value
		}
	}
	return nil
}
