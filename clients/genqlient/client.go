// Package genqlient is a typed Go client, generated from the SDL and operations.graphql. It proves that generators can
// use the schema, and is a starting point for services that call the server. It is a separate module, so that the
// server does not depend on the generator.
package genqlient

import (
	"net/http"

	"github.com/Khan/genqlient/graphql"
)

//go:generate go tool genqlient

// New returns a client for the endpoint at url. It sends accessToken unless it is empty.
func New(url, accessToken string) graphql.Client {
	return graphql.NewClient(url, &http.Client{Transport: bearer(accessToken)})
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}
