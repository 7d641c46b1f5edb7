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

// For any number of attacked accounts, the newest refusals are kept, and no other entries are deleted for them.
func TestFoldedEntriesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		log := audit.NewLog(db, time.Hour, time.Now)
		log.KeepFolded(3)
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			if err := audit.Record(tx, audit.Event{Action: audit.UserCreated, Outcome: audit.Done, User: "first"}); err != nil {
				return err
			}
			by := audit.Actor{Claims: token.Claims{UserID: "own"}}
			return audit.Record(tx, audit.Event{Action: audit.UserUpdated, By: by, User: "own"})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []token.UserID{"a", "b", "c", "d", "e"} {
			if err := log.Failed(t.Context(), audit.Event{Action: audit.AuthnLoginFail, User: user}); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		page, err := log.List(t.Context(), audit.Filter{}, store.Window{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var left []token.UserID
		for _, one := range page.Rows {
			left = append(left, one.UserID)
		}
		if diff := cmp.Diff([]token.UserID{"e", "d", "c", "own", "first"}, left); diff != "" {
			t.Error(diff)
		}
	})
}

// Acts that one client can repeat at will fold if they have the same user, session and address.
func TestRepeatedActsFold(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		by := audit.Actor{Claims: token.Claims{UserID: "a"}, IP: "192.0.2.1", UserAgent: "one"}
		here := audit.Event{Action: audit.UserUpdated, By: by, User: "a", Session: "s"}
		agent, address, session, user := here, here, here, here
		agent.By.UserAgent = "another"
		address.By.IP = "192.0.2.2"
		session.Session = "t"
		user.By.UserID, user.User = "b", "b"
		for _, e := range []audit.Event{here, here, agent, here, address, session, user} {
			if err := db.Tx(t.Context(), func(tx *store.Tx) error { return audit.Record(tx, e) }); err != nil {
				t.Fatal(err)
			}
		}
		page, err := audit.NewLog(db, time.Hour, time.Now).List(t.Context(), audit.Filter{}, store.Window{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		total := int32(0)
		for _, one := range page.Rows {
			total += one.Count
		}
		if total != 7 || len(page.Rows) < 4 || len(page.Rows) > 4+3 { // more entries if a new minute begins
			t.Errorf("%d acts in %d entries, want 7 in 4", total, len(page.Rows))
		}
	})
}
