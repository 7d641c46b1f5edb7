package account

import "context"

// Terms is what a user is found by.
func Terms(u *User) []string { return u.terms() }

// ProveAgain is proveAgain, and tells the hash that the password was compared with.
func (s *Service) ProveAgain(ctx context.Context, id ID, password string) (hash string, err error) {
	found := credentials{User: User{ID: id}}
	err = s.proveAgain(ctx, &found, password)
	return found.PasswordHash, err
}
