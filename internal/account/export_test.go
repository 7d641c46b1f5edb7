package account

import "context"

// Terms is what a user is found by.
func Terms(u *User) []string { return u.terms() }

// Stored is stored.
func (s *Service) Stored(ctx context.Context, id ID, password string) (hash string, err error) {
	return s.stored(ctx, id, password)
}
