package social

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

const (
	// fetchTimeout bounds one request to a provider.
	fetchTimeout = 5 * time.Second
	// maxAnswer bounds the answer to it, in bytes.
	maxAnswer = 1 << 20
)

// errUnavailable marks errors of a provider that does not answer. All others are of one that answers wrongly.
var errUnavailable = errors.New("the provider does not answer")

// newClient returns the client of a provider. It follows no redirects: an answer must come from the address that was
// asked, and secrets must not be sent elsewhere.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     bounded{http.DefaultTransport},
	}
}

// bounded bounds the answers of a provider, and makes the failures of one that does not answer errUnavailable.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	if response.StatusCode < http.StatusInternalServerError {
		return response, nil
	}
	return nil, errors.Join(fmt.Errorf("%w: status %d", errUnavailable, response.StatusCode), response.Body.Close())
}

// with returns a context in which oauth2 and oidc use client.
func with(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// isUnavailable reports whether err is of a provider that does not answer.
func isUnavailable(err error) bool {
	timeout, ok := errors.AsType[*url.Error](err)
	return errors.Is(err, errUnavailable) || errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// exchange redeems the code of a provider's answer. Errors do not contain the answer, which may hold tokens.
func exchange(ctx context.Context, c *oauth2.Config, code, verifier string) (*oauth2.Token, error) {
	tokens, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return nil, fmt.Errorf("redeem code: status %d, error %.40q", refused.Response.StatusCode, refused.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("redeem code: %w", err)
	}
	return tokens, nil
}
