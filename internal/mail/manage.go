package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	netmail "net/mail"

	"github.com/graphwarden/graphwarden/internal/store"
)

// Entry is a mail as operators see it. It contains no secret.
type Entry struct {
	ID        string      `db:"id"`
	MessageID string      `db:"message_id"`
	Kind      Kind        `db:"kind"`
	Sealed    string      `db:"sealed"`
	User      string      `db:"user_id"`
	Locale    string      `db:"locale"`
	State     State       `db:"state"`
	Attempts  int         `db:"attempts"`
	LastError string      `db:"last_error"`
	NextAt    store.Time  `db:"next_at"`
	CreatedAt store.Time  `db:"created_at"`
	ExpiresAt store.Time  `db:"expires_at"`
	EndedAt   *store.Time `db:"ended_at"`

	// To and Data are the unsealed parts.
	To   string            `db:"-"`
	Data map[string]string `db:"-"`
}

const columns = `id, message_id, kind, sealed, user_id, locale, state, attempts, last_error,
	next_at, created_at, expires_at, ended_at`

// List returns the newest mails, at most limit; those of one state unless it is empty.
func (o *Outbox) List(ctx context.Context, state State, limit int) ([]*Entry, error) {
	var entries []*Entry
	err := o.db.Select(ctx, &entries, `SELECT `+columns+` FROM mail WHERE $1 = '' OR state = $1
		ORDER BY id DESC LIMIT $2`, state, limit)
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	for _, e := range entries {
		o.open(e)
	}
	return entries, nil
}

// Show returns one mail.
func (o *Outbox) Show(ctx context.Context, id string) (*Entry, error) {
	var e Entry
	err := o.db.Get(ctx, &e, `SELECT `+columns+` FROM mail WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errors.New("there is no mail with this id")
	}
	if err != nil {
		return nil, fmt.Errorf("read mail: %w", err)
	}
	o.open(&e)
	return &e, nil
}

func (o *Outbox) open(e *Entry) {
	c, err := o.unseal(e.ID, e.Sealed)
	if err != nil {
		c.To = "(sealed with another secret)"
	}
	e.To, e.Data = c.To, c.Data
}

// Retry makes a queued or failed mail due now. It refuses others, and those that have expired.
func (o *Outbox) Retry(ctx context.Context, id string) error {
	return o.db.Tx(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE mail SET state = 'queued', next_at = now_us(), ended_at = NULL
			WHERE id = $1 AND state IN ('queued', 'failed') AND expires_at > now_us()`, id)
		if err != nil {
			return fmt.Errorf("retry mail: %w", err)
		}
		if n == 0 {
			return errors.New("there is no waiting or failed mail with this id that has not expired")
		}
		return tx.Notify(Topic)
	})
}

// Forget deletes the mails of an account, in the transaction that deletes the account. Mails that are written later in
// the same transaction stay.
func (o *Outbox) Forget(tx *store.Tx, user string) error {
	if _, err := tx.Exec("DELETE FROM mail WHERE user_id = $1", user); err != nil {
		return fmt.Errorf("delete mails: %w", err)
	}
	return nil
}

// Deliver sends a test mail to an address now, without the outbox.
func (o *Outbox) Deliver(ctx context.Context, to string) error {
	if o.courier == nil {
		return errors.New("there is no mail server: set --smtp-url")
	}
	address, needsUTF8, err := envelope(to)
	if err != nil {
		return err
	}
	now := store.TimeOf(o.now()).Std()
	letter, err := o.templates.find(Test, "").execute(view{Site: o.site, Expires: now})
	if err != nil {
		return fmt.Errorf("execute the template: %w", err)
	}
	l, err := o.courier.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	id := fmt.Sprintf("test-%d@%s", now.UnixMicro(), domain(o.from.Address))
	return l.deliver(ctx, &parcel{rendered: letter, messageID: id, created: now, to: address, needsUTF8: needsUTF8})
}

// Reach connects to the mail server, authenticates and disconnects.
func Reach(ctx context.Context, s *Server) error {
	l, err := newCourier(s, netmail.Address{}).dial(ctx)
	if err != nil {
		return err
	}
	l.close()
	return nil
}
