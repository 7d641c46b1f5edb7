package throttle_test

import (
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// A flood of requests for mail to one address neither sends more than the budget nor keeps its owner from the rest.
func TestMailToOneRecipientIsLimited(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		th := start(t, db, throttle.Rates{
			throttle.MailPace:      {Burst: 1, Per: time.Minute},
			throttle.MailRecipient: {Burst: 3, Per: time.Hour},
		})
		flood := func(recipient string) (sent int) {
			for range 10 {
				err := db.Tx(t.Context(), func(tx *store.Tx) error {
					within, err := th.Mail(tx, recipient)
					if within {
						sent++
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			return sent
		}
		for minute, want := range []int{1, 1, 1, 0} {
			if n := flood("kim@example.org"); n != want {
				t.Errorf("minute %d: %d mails, want %d", minute, n, want)
			}
			pass(t, db, time.Minute)
		}
		if n := flood("lee@example.org"); n != 1 {
			t.Errorf("another recipient: %d mails", n)
		}
		pass(t, db, time.Hour)
		if n := flood("kim@example.org"); n != 1 {
			t.Errorf("an hour later: %d mails", n)
		}
	})
}
