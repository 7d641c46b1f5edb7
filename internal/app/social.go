package app

import (
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/token"
)

func (a *App) newSocial(key *secret.Secret, hasRole func(token.Role) bool) (*social.Service, error) {
	var list []social.Options
	for _, one := range a.Config.Providers() {
		name, settings, err := one.Split()
		if err != nil {
			return nil, err
		}
		list = append(list, social.Options{Name: name, Settings: settings})
	}
	returned := a.Metrics.Counters("graphwarden_provider_returns_total",
		"Browsers sent back from a sign-in with a provider, by provider and outcome.", "provider", "outcome")
	return social.New(a.DB, a.Challenges, a.Throttle, key, list, social.Deployment{
		PublicURL:  a.Config.PublicURL,
		PublicPath: a.Config.PublicPath(),
		Admits:     a.origins.AdmitsReturn,
		HasRole:    hasRole,
	}, func(provider, outcome string) { returned(provider, outcome) }, a.now, a.log)
}
