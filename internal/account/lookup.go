package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
)

// ByID returns a user, or NOT_FOUND. It may come from the View.
func (s *Service) ByID(ctx context.Context, id ID) (*User, error) {
	if u := s.view.get(id); u != nil {
		return u, nil
	}
	users, err := s.view.read([]ID{id}, func() ([]*User, error) {
		u, err := s.Fresh(ctx, id)
		return []*User{u}, err
	})
	if err != nil {
		return nil, err
	}
	return users[0], nil
}

// visible excludes users that are hidden.
const visible = " AND deletes_at IS NULL"

// Fresh is ByID from the database.
func (s *Service) Fresh(ctx context.Context, id ID) (*User, error) {
	if !isID(id) {
		return nil, errUserNotFound
	}
	var u User
	err := s.db.Scan(ctx, u.columns(), "SELECT "+userColumns+" FROM users WHERE id = $1"+visible, id)
	return found(&u, err)
}

// Read returns a user within tx, even a hidden one, or NOT_FOUND.
func Read(tx *store.Tx, id ID) (*User, error) {
	var u User
	err := tx.Get(&u, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
	return found(&u, err)
}

func found(u *User, err error) (*User, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// ByIDs returns users in the order of ids, with nil for those that do not exist. It runs one query for those that the
// View does not hold. Batched resolvers use it.
func (s *Service) ByIDs(ctx context.Context, ids []ID) ([]*User, error) {
	users := make([]*User, len(ids))
	var missing []ID
	var places []int // of missing in users
	for i, id := range ids {
		if users[i] = s.view.get(id); users[i] == nil {
			missing = append(missing, id)
			places = append(places, i)
		}
	}
	if len(missing) == 0 {
		return users, nil
	}
	found, err := s.view.read(missing, func() ([]*User, error) { return s.fresh(ctx, missing) })
	if err != nil {
		return nil, err
	}
	for i, u := range found {
		users[places[i]] = u
	}
	return users, nil
}

// fresh reads users from the database, in the order of ids, with nil for those that do not exist.
func (s *Service) fresh(ctx context.Context, ids []ID) ([]*User, error) {
	var q store.Query
	var found []*User
	query := "SELECT " + userColumns + " FROM users WHERE id IN " + store.In(&q, ids) + visible
	if err := s.db.Select(ctx, &found, query, q.Args...); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byID := make(map[ID]*User, len(found))
	for _, u := range found {
		byID[u.ID] = u
	}
	users := make([]*User, len(ids))
	for i, id := range ids {
		users[i] = byID[id]
	}
	return users, nil
}

// Find returns the user with an e-mail address, a username or an id, even a hidden one, or NOT_FOUND.
func (s *Service) Find(ctx context.Context, name string) (*User, error) {
	name = Trim(name)
	email, _ := EmailKey(name)
	username, _ := UsernameKey(name)
	var u User
	err := s.db.Get(ctx, &u, "SELECT "+userColumns+" FROM users WHERE id = $1 OR email_key = $2 OR username = $3",
		name, email, username)
	return found(&u, err)
}

// All calls f for every user, hidden ones included, in order of creation. It reads them in pages.
func (s *Service) All(ctx context.Context, f func(*User) error) error {
	const page = 500
	for after := ID(""); ; {
		var users []*User
		err := s.db.Select(ctx, &users, "SELECT "+userColumns+" FROM users WHERE id > $1 ORDER BY id LIMIT $2", after, page)
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		for _, u := range users {
			if err := f(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(users) < page {
			return nil
		}
	}
}
