package social

import "time"

// Hurry shortens the time that providers may take.
func (s *Service) Hurry(timeout time.Duration) {
	for _, one := range s.sites {
		switch p := one.protocol.(type) {
		case *openID:
			p.client.Timeout = timeout
		case *gitHubAPI:
			p.client.Timeout = timeout
		}
	}
}
