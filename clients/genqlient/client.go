// Package genqlient is a typed Go client, generated from the SDL and operations.graphql. It proves that the schema suits
// such generators, and services that call this server can start from it. It is a module of its own, so that the server
// does not depend on the generator.
package genqlient

import (
	"net/http"

	"github.com/Khan/genqlient/graphql"
)

//go:generate go tool genqlient

// New makes a client of the endpoint at url that sends an access token, if there is one.
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
