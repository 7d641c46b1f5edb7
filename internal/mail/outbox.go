package mail

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
)

// Topic is the notification topic of new mails.
const Topic = "mail"

// maxQueued is how many mails may wait. Beyond it, Admit refuses further requests for mail.
const maxQueued = 100_000

// sealing is the purpose of the key that seals recipients and data.
const sealing = "mail"

// Budget takes one mail to a recipient, in tx. It returns false if the recipient has had too many.
type Budget func(tx *store.Tx, recipient string) (within bool, err error)

// Reveal returns the secret of a challenge by its reference. It returns an empty secret if the challenge is used or
// void, and the mail is not sent then. After an error, the mail is tried again later.
type Reveal func(reference string) (secret string, err error)

// Options configure an Outbox.
type Options struct {
	// Server is the mail server; nil for none.
	Server *Server
	// From is the sender, such as "Example <no-reply@example.com>".
	From string
	// Development logs mails if there is no mail server.
	Development bool
}

// Server is a mail server.
type Server struct {
	Host               string
	Port               int
	TLS                string // starttls, implicit or none
	Auth               string // auto, plain, login, cram-md5 or xoauth2
	Username, Password string
}

// Outbox holds the mails to be sent, and those of the last days.
type Outbox struct {
	db      *store.DB
	secret  *secret.Secret
	budget  Budget
	reveal  Reveal
	options Options
	now     func() time.Time
	log     *slog.Logger

	queued atomic.Int64 // as last counted, plus those written here since
}

// NewOutbox wires an Outbox.
func NewOutbox(db *store.DB, s *secret.Secret, budget Budget, reveal Reveal, o Options,
	now func() time.Time, log *slog.Logger) *Outbox {
	return &Outbox{db: db, secret: s, budget: budget, reveal: reveal, options: o, now: now, log: log}
}

// Enabled reports whether mails are sent, or, in development without a mail server, logged. If not, Send drops them.
func (o *Outbox) Enabled() bool { return o.options.Server != nil || o.options.Development }

// errFull refuses requests for mail while too many mails wait. It is the same for every recipient.
var errFull = func() error {
	e := fault.New(fault.RateLimited, fault.TooManyAttempts, "too many mails are waiting to be sent: try again later")
	e.RetryAfter = time.Minute
	return e
}()

// Admit decides, in tx, whether a caller's request may send a mail to recipient, and takes it from the recipient's
// budget. Call it before looking up the account, with the key of the address (account.EmailKey) whether or not there is
// such an account, so that all addresses cost the same:
//
//   - true: Send the mail, if there is an account.
//   - false: the recipient has had too many mails. Send nothing and answer as usual, because another answer would reveal
//     the requests of others. The budget is taken from recipients without an account too.
//   - RATE_LIMITED: the outbox is full. Return the error.
//
// Notices about a change that has been made, such as password-changed, are sent without Admit: an attacker must not be
// able to suppress them.
func (o *Outbox) Admit(tx *store.Tx, recipient string) (admitted bool, err error) {
	if o.queued.Load() >= maxQueued {
		return false, errFull
	}
	return o.budget(tx, recipient)
}

// content is the sealed part of a mail.
type content struct {
	To   string            `json:"to"`
	Data map[string]string `json:"data,omitempty"`
}

// Send writes a mail in tx. The replica that sends mails learns of it after the commit.
func (o *Outbox) Send(tx *store.Tx, m Message) error {
	shows, known := kinds[m.Kind]
	if !known || (shows != nothing) != (m.Challenge != "") {
		return fmt.Errorf("mail: kind %q with challenge %q", m.Kind, m.Challenge)
	}
	if !o.Enabled() {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mail id: %w", err)
	}
	if m.Expires.IsZero() {
		m.Expires = o.now().Add(noticeLife)
	}
	sealed, err := o.seal(id.String(), content{m.To, m.Data})
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(o.options.From, "@")
	_, err = tx.Exec(`INSERT INTO mail (id, message_id, kind, sealed, challenge, user_id, locale, state, attempts,
			next_at, last_error, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, now_us(), '', now_us(), $8)`,
		id.String(), id.String()+"@"+strings.TrimSuffix(domain, ">"), m.Kind, sealed, m.Challenge, m.User, m.Locale,
		store.TimeOf(m.Expires))
	if err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	tx.OnCommit(func() { o.queued.Add(1) })
	return tx.Notify(Topic)
}

func (o *Outbox) seal(id string, c content) (string, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode mail: %w", err)
	}
	return base64.StdEncoding.EncodeToString(o.secret.Seal(sealing, plain, []byte(id))), nil
}
