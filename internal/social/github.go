package social

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// gitHubAPI speaks to GitHub, or a GitHub Enterprise server, which has OAuth without OpenID Connect.
type gitHubAPI struct {
	*provider
	client *http.Client
}

func (p *gitHubAPI) config() *oauth2.Config {
	return &oauth2.Config{ClientID: p.clientID, ClientSecret: p.clientSecret, RedirectURL: p.redirectURL,
		Scopes: p.scopes, Endpoint: oauth2.Endpoint{
			AuthURL:   p.issuer + "/login/oauth/authorize",
			TokenURL:  p.issuer + "/login/oauth/access_token",
			AuthStyle: oauth2.AuthStyleInParams,
		}}
}

func (p *gitHubAPI) begin(_ context.Context, f *flow) (string, error) {
	return p.config().AuthCodeURL(f.State, oauth2.S256ChallengeOption(f.Verifier)), nil
}

// issues checks nothing: GitHub does not name itself in answers. Its own redirect URI keeps other providers out.
func (p *gitHubAPI) issues(context.Context, url.Values) error { return nil }

// claims reads the user. The public address of the profile is not verified; the primary one of /user/emails may be.
func (p *gitHubAPI) claims(ctx context.Context, f *flow, code string) (*Claims, error) {
	tokens, err := exchange(with(ctx, p.client), p.config(), code, f.Verifier)
	if err != nil {
		return nil, err
	}
	var user map[string]any
	if err := p.get(ctx, tokens, "/user", &user); err != nil {
		return nil, err
	}
	var addresses []struct {
		Email             string
		Primary, Verified bool
	}
	if err := p.get(ctx, tokens, "/user/emails", &addresses); err != nil {
		return nil, err
	}
	id, isNumber := user["id"].(json.Number)
	if !isNumber {
		return nil, errors.New("GitHub's user has no numeric id")
	}
	claims := maps.Clone(user)
	claims["sub"], claims["email"] = id.String(), nil
	for _, one := range addresses {
		if one.Primary && one.Verified {
			claims["email"], claims["email_verified"] = one.Email, true
		}
	}
	return p.read(claims)
}

// get reads a resource of the REST API.
func (p *gitHubAPI) get(ctx context.Context, tokens *oauth2.Token, path string, into any) error {
	base := p.issuer + "/api/v3" // of GitHub Enterprise
	if p.issuer == presets[gitHub].issuer {
		base = "https://api.github.com"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	tokens.SetAuthHeader(request)
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("read %s: status %d", path, response.StatusCode)
	}
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
