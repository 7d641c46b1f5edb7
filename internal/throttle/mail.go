package throttle

import (
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
)

// Mail takes one mail to a recipient in tx. It returns false if the recipient has had too many. The pace comes first:
// requests that it refuses must not use up the mails of the hour.
func (t *Throttle) Mail(tx *store.Tx, recipient string) (within bool, err error) {
	err = t.TakeIn(tx, MailPace, recipient)
	if err == nil {
		err = t.TakeIn(tx, MailRecipient, recipient)
	}
	if fault.Is(err, fault.TooManyAttempts) {
		return false, nil
	}
	return err == nil, err
}
