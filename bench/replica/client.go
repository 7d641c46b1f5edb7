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

// Password is everybody's.
const Password = "an unlikely passphrase"

// Client calls a server over one connection that is kept.
type Client struct {
	// Header is sent with every call, if it is not nil.
	Header http.Header

	url  string
	http http.Client
}

// NewClient makes a client of the endpoint at url.
func NewClient(url string) *Client {
	return &Client{url: url, http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

// Close lets go of the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is what came back.
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

// Reason is that of the first error, or its code; empty if there is none.
func (a *Answer) Reason() string {
	if len(a.Errors) == 0 {
		return ""
	}
	if e := a.Errors[0].Extensions; e.Reason != "" {
		return e.Reason
	}
	return a.Errors[0].Extensions.Code
}

// Do posts an operation with a bearer token, or none.
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

// into is Do for an operation that must succeed.
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

// Register makes an account and returns an access token of its first session.
func (c *Client) Register(ctx context.Context, email string) (token string, err error) {
	var out struct {
		Register struct{ Auth struct{ AccessToken string } }
	}
	err = c.into(ctx, &out, "", `mutation($email: String!, $password: String!) {
		register(input: {email: $email, password: $password}) { auth { accessToken } } }`, map[string]any{"email": email, "password": Password})
	return out.Register.Auth.AccessToken, err
}

// Login opens a session and returns its access token.
func (c *Client) Login(ctx context.Context, email string) (token string, err error) {
	var out struct{ Login struct{ AccessToken string } }
	err = c.into(ctx, &out, "", `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) { accessToken } }`, map[string]any{"email": email, "password": Password})
	return out.Login.AccessToken, err
}

// Logout ends the session of token, or ALL of its user.
func (c *Client) Logout(ctx context.Context, token, scope string) error {
	return c.into(ctx, &struct{}{}, token, `mutation($scope: LogoutScope!) { logout(input: {scope: $scope}) { endedSessions } }`, map[string]any{"scope": scope})
}

// Me asks who token is; the answer is refused unless it is still good.
func (c *Client) Me(ctx context.Context, token string) (*Answer, error) {
	return c.Do(ctx, token, "{ me { id } }", nil)
}
