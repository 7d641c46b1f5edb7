package account

import (
	"context"
	"fmt"
	"time"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// sweepBatch is how many accounts DeleteDue reads at once. Each is deleted in its own transaction.
const sweepBatch = 100

// Delete ends all sessions of the caller and deletes the account after the grace, at once if that is 0. It returns the
// time of the deletion, nil if it is done. confirmEmail must be the account's address, in any spelling.
//
// Until then the account is hidden: no lookup finds it, lists do not show it, and it does not count as an
// administrator. Its address and username remain taken, or a stranger could register them before the user signs in
// again, which cancels the deletion.
func (s *Service) Delete(ctx context.Context, confirmEmail string, by audit.Actor) (at *store.Time, err error) {
	key, possible := EmailKey(confirmEmail)
	u, err := s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		own, _ := EmailKey(u.Email)
		if confirmed := possible && key == own || Trim(confirmEmail) == u.Email; !confirmed {
			return fault.Invalid([]fault.Field{{Path: "input.confirmEmail", Reason: fault.Malformed,
				Message: "this is not the e-mail address of your account"}})
		}
		if s.deleteGrace == 0 {
			return s.remove(tx, u, by)
		}
		return s.scheduleDeletion(tx, u, by)
	})
	if err != nil {
		return nil, err
	}
	return u.DeletesAt, nil
}

func (s *Service) scheduleDeletion(tx *store.Tx, u *User, by audit.Actor) error {
	if err := s.shutOut(tx, u); err != nil {
		return err
	}
	err := tx.Get(u, `UPDATE users SET deletes_at = now_us() + $2, updated_at = now_us() WHERE id = $1
		RETURNING `+userColumns, u.ID, s.deleteGrace.Microseconds())
	if err != nil {
		return fmt.Errorf("schedule deletion: %w", err)
	}
	if err := index(tx, u); err != nil {
		return err
	}
	if err := challenge.Void(tx, u.ID); err != nil {
		return err
	}
	// The user may not be the one who deleted the account.
	err = s.mailing.Outbox.Send(tx, mail.Message{Kind: mail.AccountDeletion, To: u.Email, User: string(u.ID),
		Locale: value(u.Locale),
		Data:   map[string]string{"ip": by.IP, "device": by.UserAgent, "time": u.DeletesAt.Std().Format(time.RFC1123)}})
	if err != nil {
		return err
	}
	return audit.Record(tx, audit.Event{Action: audit.UserDeletionScheduled, By: by, User: u.ID})
}

// CancelDeletion keeps the account of u, who has signed in, if its deletion was scheduled. The caller has locked the
// user's row in tx.
func (s *Service) CancelDeletion(tx *store.Tx, u *User, by audit.Actor) error {
	if u.DeletesAt == nil {
		return nil
	}
	err := tx.Get(u, `UPDATE users SET deletes_at = NULL, updated_at = now_us() WHERE id = $1
		RETURNING `+userColumns, u.ID)
	if err != nil {
		return fmt.Errorf("cancel deletion: %w", err)
	}
	if err := index(tx, u); err != nil {
		return err
	}
	tx.OnCommit(func() { s.view.Drop(u.ID) })
	if err := session.Notify(tx); err != nil {
		return err
	}
	by.UserID = u.ID
	return audit.Record(tx, audit.Event{Action: audit.UserDeletionCanceled, By: by, User: u.ID})
}

// DeleteDue deletes the accounts whose grace has ended.
func (s *Service) DeleteDue(ctx context.Context) error {
	for {
		var due []ID
		err := s.db.Select(ctx, &due, "SELECT id FROM users WHERE deletes_at <= now_us() ORDER BY deletes_at LIMIT $1",
			sweepBatch)
		if err != nil {
			return fmt.Errorf("find accounts to delete: %w", err)
		}
		for _, id := range due {
			if err := s.deleteDue(ctx, id); err != nil {
				return err
			}
		}
		if len(due) < sweepBatch {
			return nil
		}
	}
}

// deleteDue deletes the account id unless its user has signed in since it was found.
func (s *Service) deleteDue(ctx context.Context, id ID) error {
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Lock(tx, id); err != nil {
			return err
		}
		var isDue bool
		err := tx.Get(&isDue, "SELECT EXISTS (SELECT 1 FROM users WHERE id = $1 AND deletes_at <= now_us())", id)
		if err != nil {
			return fmt.Errorf("read user to delete: %w", err)
		}
		if !isDue {
			return nil
		}
		u, err := Read(tx, id)
		if err != nil {
			return err
		}
		return s.remove(tx, u, audit.Actor{Claims: token.Claims{UserID: id}})
	})
}
