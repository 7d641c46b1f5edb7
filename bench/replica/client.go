package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// Password is the password of all users.
const Password = "an unlikely passphrase"

// Client calls a server over one persistent connection.
type Client struct {
	// Header is sent with every call, if it is not nil.
	Header http.Header

	url  string
	http http.Client
}

// NewClient returns a client for the endpoint at url.
func NewClient(url string) *Client {
	return &Client{url: url, http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

// Close closes the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is a GraphQL response.
type Answer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct {
			Code, Reason string
			RetryAfter   int
		}
	}
}

// Reason returns the reason of the first error, or its code if it has no reason. Without errors, it returns "".
func (a *Answer) Reason() string {
	if len(a.Errors) == 0 {
		return ""
	}
	if e := a.Errors[0].Extensions; e.Reason != "" {
		return e.Reason
	}
	return a.Errors[0].Extensions.Code
}

// Do posts an operation. An empty token means no Authorization header.
func (c *Client) Do(ctx context.Context, token, query string, variables map[string]any) (*Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, c.Header)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var a Answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("status %d, %q: %w", response.StatusCode, raw, err)
	}
	return &a, nil
}

// into posts an operation that must succeed, and decodes its data.
func (c *Client) into(ctx context.Context, data any, token, query string, variables map[string]any) error {
	a, err := c.Do(ctx, token, query, variables)
	if err != nil {
		return err
	}
	if len(a.Errors) > 0 {
		return fmt.Errorf("%s: %s", a.Reason(), a.Errors[0].Message)
	}
	return json.Unmarshal(a.Data, data)
}

// Register creates an account and returns an access token of its first session.
func (c *Client) Register(ctx context.Context, email string) (token string, err error) {
	var out struct {
		Register struct{ Auth struct{ AccessToken string } }
	}
	const query = `mutation($email: String!, $password: String!) {
		register(input: {email: $email, password: $password}) { auth { accessToken } }
	}`
	err = c.into(ctx, &out, "", query, map[string]any{"email": email, "password": Password})
	return out.Register.Auth.AccessToken, err
}

// Login opens a session and returns its access token.
func (c *Client) Login(ctx context.Context, email string) (token string, err error) {
	var out struct{ Login struct{ AccessToken string } }
	const query = `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) { accessToken }
	}`
	err = c.into(ctx, &out, "", query, map[string]any{"email": email, "password": Password})
	return out.Login.AccessToken, err
}

// Logout ends the sessions of a LogoutScope: CURRENT is that of token, ALL are those of its user.
func (c *Client) Logout(ctx context.Context, token, scope string) error {
	const query = `mutation($scope: LogoutScope!) { logout(input: {scope: $scope}) { endedSessions } }`
	return c.into(ctx, &struct{}{}, token, query, map[string]any{"scope": scope})
}

// Me queries the id of the user of token. The answer has an error if the token is no longer valid.
func (c *Client) Me(ctx context.Context, token string) (*Answer, error) {
	return c.Do(ctx, token, "{ me { id } }", nil)
}
