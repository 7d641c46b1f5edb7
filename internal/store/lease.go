package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Lease takes the lease called name for the duration life. It returns false if another replica holds it. A lease cannot
// be returned early, so the guarded work runs at most once per life. A lease that ends later than now+life is ignored:
// the clock was set back. An advisory lock would not do, because a transaction pooler shares sessions between clients.
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
