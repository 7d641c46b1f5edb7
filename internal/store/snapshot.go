package store

import "fmt"

// Snapshot makes all statements of tx see the database at one moment. It must come first in tx. If another transaction
// changes a row that tx changes too, tx runs again. On SQLite, every transaction is like this.
func (tx *Tx) Snapshot() error {
	if tx.db.dialect == SQLite {
		return nil
	}
	if _, err := tx.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	return nil
}
