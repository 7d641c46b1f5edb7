package audit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// However many accounts strangers try, the newest refusals are kept, and nothing else goes for them.
func TestFoldedEntriesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		log := audit.NewLog(db, time.Hour, time.Now)
		log.KeepFolded(3)
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			return audit.Record(tx, audit.Event{Action: audit.UserCreated, Outcome: audit.Done, User: "first"})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []token.UserID{"a", "b", "c", "d", "e"} {
			if err := log.Failed(t.Context(), audit.Event{Action: audit.LoginFailed, User: user}); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, _, err := log.List(t.Context(), audit.Filter{}, store.Window{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var left []token.UserID
		for _, one := range entries {
			left = append(left, one.UserID)
		}
		if diff := cmp.Diff([]token.UserID{"e", "d", "c", "first"}, left); diff != "" {
			t.Error(diff)
		}
	})
}
