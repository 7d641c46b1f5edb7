package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Lease makes the caller the only one, of all replicas, who holds the lease of that name for the time
// life; false if another holds it. It cannot be given back, so that what it is for is done no more often
// than once in a life. One that ends later than that is from before the clock went back, and does not count.
// Not an advisory lock: behind a transaction pooler that would be someone else's.
func (db *DB) Lease(ctx context.Context, name string, life time.Duration) (held bool, err error) {
	err = db.Tx(ctx, func(tx *Tx) error {
		var until Time
		err := tx.Get(&until, `INSERT INTO leases (name, until) VALUES ($1, now_us() + $2)
			ON CONFLICT (name) DO UPDATE SET until = excluded.until
			WHERE leases.until <= now_us() OR leases.until > now_us() + $2 RETURNING until`, name, life.Microseconds())
		held = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", name, err)
	}
	return held, nil
}
