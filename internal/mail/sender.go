package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	// pollEvery is how often a replica looks for mails whose next attempt is due.
	pollEvery = 5 * time.Second
	// leaseLife is how long one replica sends before another may. After a crash of that replica, the others wait as long.
	leaseLife = 10 * time.Second
	leaseName = "mail"
	// claimLife is how long a mail belongs to the attempt that claimed it: longer than all steps of a delivery take. After
	// a crash in the middle, the mail is tried again when it ends.
	claimLife = 5 * time.Minute
	// batch is how many due mails are read at once.
	batch = 50
	// retryFirst and retryLast bound the pause before a mail is tried again, pauseFirst and pauseLast that before the mail
	// server is, after an error that concerns all mails. A code to sign in must not wait until it has expired.
	retryFirst, retryLast = 15 * time.Second, time.Hour
	pauseFirst, pauseLast = pollEvery, time.Minute
	// keptFor is how long mails that were sent or given up are kept.
	keptFor = 7 * 24 * time.Hour
)

// State is the state of a mail.
type State string

// The states. All but Queued are final, except that a failed mail may be queued again.
const (
	Queued  State = "queued"
	Sent    State = "sent"    // the mail server accepted it
	Failed  State = "failed"  // the mail server refused it, or it cannot be made
	Expired State = "expired" // it was not sent in time, or its link or code was used or withdrawn
)

// sender is the state of the goroutine that sends mails.
type sender struct {
	leased   time.Time // until when this replica holds the lease
	resume   time.Time // when to try the mail server again
	failures int       // in a row
	err      error     // the last of them
}

// Follow sends mails until ctx ends. A mail that is being delivered then has stopTimeout to complete.
func (o *Outbox) Follow(ctx context.Context) {
	if !o.Enabled() {
		return
	}
	run := func(ctx context.Context) error { return errors.Join(o.count(ctx), o.deliver(ctx)) }
	_ = run(ctx) // mails from before the start do not wait for the first interval, whose run reports a failure again
	store.Loop{
		DB:    o.db,
		Now:   o.now,
		Log:   o.log,
		Every: pollEvery,
		// While mails wait, an idle server does not rest.
		Due:      func(age time.Duration) bool { return o.queued.Load() > 0 || o.db.Due(age) },
		Topic:    Topic,
		OnWake:   o.deliver,
		Failure:  "cannot deliver mails; they are kept and tried again",
		Recovery: "mails are delivered again",
	}.Run(ctx, run)
}

// count reads how many mails wait, and since when.
func (o *Outbox) count(ctx context.Context) error {
	var waiting struct {
		N      int64 `db:"n"`
		Oldest int64 `db:"oldest"`
	}
	err := o.db.Get(ctx, &waiting, `SELECT count(*) AS n, coalesce(min(created_at), 0) AS oldest
		FROM mail WHERE state = 'queued'`)
	if err != nil {
		return fmt.Errorf("count mails: %w", err)
	}
	o.queued.Store(waiting.N)
	o.oldest.Store(waiting.Oldest)
	return nil
}

// deliver sends the due mails, if no other replica is sending.
func (o *Outbox) deliver(ctx context.Context) error {
	s := &o.sender
	if o.now().Before(s.resume) {
		return s.err // the mail server is not tried for every new mail
	}
	err := o.drain(ctx)
	if f, ok := errors.AsType[*failure](err); ok && f.general {
		pause := backoff(pauseFirst, pauseLast, s.failures)
		s.failures, s.err, s.resume = s.failures+1, err, o.now().Add(pause)
		return err
	}
	s.failures, s.err = 0, nil
	return err
}

// drain sends due mails until there are no more, or another replica sends.
func (o *Outbox) drain(ctx context.Context) error {
	var l *line
	defer func() {
		if l != nil {
			l.close()
		}
	}()
	for ctx.Err() == nil {
		var ids []string
		err := o.db.Select(ctx, &ids, `SELECT id FROM mail
			WHERE state = 'queued' AND next_at <= now_us() AND expires_at > now_us() ORDER BY next_at LIMIT $1`, batch)
		if err != nil {
			return fmt.Errorf("read due mails: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			held, err := o.lease(ctx)
			if err != nil || !held || ctx.Err() != nil {
				return err
			}
			if l == nil && o.courier != nil {
				if l, err = o.courier.dial(ctx); err != nil {
					return err
				}
			}
			err = o.attempt(ctx, l, id)
			f, ok := errors.AsType[*failure](err)
			if ok && f.broken {
				l.close()
				l = nil
			}
			if err != nil && (!ok || f.general) {
				return err
			}
		}
	}
	return nil
}

// lease reports whether this replica may send now.
func (o *Outbox) lease(ctx context.Context) (held bool, err error) {
	now := o.now()
	if now.Before(o.sender.leased) {
		return true, nil
	}
	held, err = o.db.Lease(ctx, leaseName, leaseLife)
	if held {
		o.sender.leased = now.Add(leaseLife)
	}
	return held, err
}

// row is a claimed mail.
type row struct {
	ID        string     `db:"id"`
	MessageID string     `db:"message_id"`
	Kind      Kind       `db:"kind"`
	Sealed    string     `db:"sealed"`
	Challenge string     `db:"challenge"`
	Locale    string     `db:"locale"`
	Attempts  int        `db:"attempts"`
	CreatedAt store.Time `db:"created_at"`
	ExpiresAt store.Time `db:"expires_at"`
}

// attempt claims a mail, delivers it and records the outcome. Its error is that of the database, or a *failure that has
// been recorded.
func (o *Outbox) attempt(ctx context.Context, l *line, id string) error {
	var r row
	err := o.db.Tx(ctx, func(tx *store.Tx) error {
		return tx.Get(&r, `UPDATE mail SET attempts = attempts + 1, next_at = now_us() + $2
			WHERE id = $1 AND state = 'queued' AND next_at <= now_us() AND expires_at > now_us()
			RETURNING id, message_id, kind, sealed, challenge, locale, attempts, created_at, expires_at`,
			id, claimLife.Microseconds())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil // claimed by another replica
	}
	if err != nil {
		return fmt.Errorf("claim mail: %w", err)
	}
	p, err := o.pack(ctx, &r)
	if err == nil {
		if o.options.Development {
			o.keep(p)
		}
		if l != nil {
			err = l.deliver(ctx, p)
		} else {
			o.print(p)
		}
	}
	// The outcome is recorded even if the server is stopping: a mail that is sent must not be sent again.
	return o.record(context.WithoutCancel(ctx), &r, err)
}

// errVoid ends a mail whose challenge has no secret any more.
var errVoid = errors.New("its link or code was used or withdrawn")

// pack makes the mail of a row.
func (o *Outbox) pack(ctx context.Context, r *row) (*parcel, error) {
	c, err := o.unseal(r.ID, r.Sealed)
	if err != nil {
		return nil, &failure{text: err.Error(), permanent: true}
	}
	p := &parcel{messageID: r.MessageID, created: r.CreatedAt.Std()}
	if p.to, p.needsUTF8, err = envelope(c.To); err != nil {
		return nil, &failure{text: err.Error(), permanent: true}
	}
	v := view{Site: o.site, Expires: r.ExpiresAt.Std(), Data: clean(c.Data)}
	if r.Challenge != "" {
		if p.secret, err = o.reveal(ctx, r.Challenge); err != nil {
			return nil, &failure{text: "the link or code cannot be made: " + err.Error()}
		}
		if p.secret == "" {
			return nil, errVoid
		}
	}
	switch kinds[r.Kind] {
	case link:
		p.link = o.options.Links.to(r.Kind, p.secret)
		v.Link = p.link
	case code:
		v.Code = p.secret
	}
	if p.rendered, err = o.templates.find(r.Kind, r.Locale).execute(v); err != nil {
		return nil, &failure{text: "execute the template: " + err.Error(), permanent: true}
	}
	return p, nil
}

// record records the outcome of an attempt and returns err, unless it concerns this mail alone.
func (o *Outbox) record(ctx context.Context, r *row, err error) error {
	state, text := Sent, ""
	f, failed := errors.AsType[*failure](err)
	switch {
	case errors.Is(err, errVoid):
		state, text, err = Expired, err.Error(), nil
	case failed:
		state, text = Queued, f.text
		if f.permanent {
			state = Failed
			o.log.Warn("a mail failed", "id", r.ID, "kind", r.Kind, "error", text)
		}
	}
	tx := func(tx *store.Tx) error {
		if state == Queued {
			_, err := tx.Exec(`UPDATE mail SET next_at = now_us() + $3, last_error = $4
				WHERE id = $1 AND attempts = $2 AND state = 'queued'`,
				r.ID, r.Attempts, backoff(retryFirst, retryLast, r.Attempts-1).Microseconds(), text)
			return err
		}
		// An expiry meanwhile does not change that the mail was sent.
		_, err := tx.Exec(`UPDATE mail SET state = $3, last_error = $4, ended_at = now_us()
			WHERE id = $1 AND attempts = $2`, r.ID, r.Attempts, state, text)
		return err
	}
	if err := o.db.Tx(ctx, tx); err != nil {
		return fmt.Errorf("record the outcome of mail %s: %w", r.ID, err)
	}
	if state != Queued {
		o.ended(r.Kind, state)
	}
	return err
}

func (o *Outbox) ended(kind Kind, state State) {
	o.queued.Add(-1)
	if o.options.OnEnd != nil {
		o.options.OnEnd(kind, state)
	}
}

// backoff returns the pause after n earlier failures, between half of and the full exponential pause.
func backoff(first, last time.Duration, n int) time.Duration {
	pause := last
	if n < 20 {
		pause = min(last, first<<n)
	}
	return pause/2 + rand.N(pause/2)
}

// Prune gives up mails that have expired, and deletes those that were sent or given up a week ago.
func (o *Outbox) Prune(ctx context.Context) error {
	for n := store.PruneBatch; n == store.PruneBatch; {
		var kinds []Kind
		err := o.db.Tx(ctx, func(tx *store.Tx) error {
			kinds = nil
			return tx.Select(&kinds, `UPDATE mail SET state = 'expired', ended_at = now_us() WHERE id IN (
				SELECT id FROM mail WHERE state = 'queued' AND expires_at <= now_us() LIMIT $1) RETURNING kind`,
				store.PruneBatch)
		})
		if err != nil {
			return fmt.Errorf("expire mails: %w", err)
		}
		for _, kind := range kinds {
			o.ended(kind, Expired)
		}
		n = len(kinds)
	}
	return o.db.Prune(ctx, "mail", "id", "ended_at < now_us() - $2", keptFor.Microseconds())
}
