package mail

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"sync"
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

// Reveal returns the secret of a challenge by its id. It returns an empty secret if the challenge is used or void, and
// the mail is not sent then. After an error, the mail is tried again later.
type Reveal func(ctx context.Context, id string) (secret string, err error)

// Options configure an Outbox.
type Options struct {
	// Server is the mail server; nil for none.
	Server *Server
	// From is the sender, such as "Example <no-reply@example.com>". Its name is what the templates call the site.
	From string
	// Links is the template of links.
	Links Links
	// Templates is a folder with templates of the team; empty for none.
	Templates string
	// Development logs mails if there is no mail server, and keeps the last ones for Preview.
	Development bool
	// OnEnd is called for each mail that this replica has sent or given up.
	OnEnd func(kind Kind, state State)
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
	db        *store.DB
	secret    *secret.Secret
	budget    Budget
	reveal    Reveal
	options   Options
	from      netmail.Address
	site      string
	templates templates
	courier   *courier // nil without a mail server
	now       func() time.Time
	log       *slog.Logger

	queued atomic.Int64 // as last counted, plus those written here since
	oldest atomic.Int64 // the store.Time at which the oldest queued mail was written; 0 for none

	sender sender

	mu   sync.Mutex
	last []sample // for Preview, the newest last
}

// NewOutbox wires an Outbox. Its errors say which template or address is wrong.
func NewOutbox(db *store.DB, s *secret.Secret, budget Budget, reveal Reveal, o Options,
	now func() time.Time, log *slog.Logger) (*Outbox, error) {
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, errors.New("--mail-from must be an address, such as 'Example <no-reply@example.com>'")
	}
	all, err := loadTemplates(o.Templates)
	if err != nil {
		return nil, err
	}
	outbox := &Outbox{db: db, secret: s, budget: budget, reveal: reveal, options: o, from: *from,
		site: cmp.Or(from.Name, domain(from.Address)), templates: all, now: now, log: log}
	if o.Server != nil {
		outbox.courier = newCourier(o.Server, *from)
	}
	return outbox, nil
}

func domain(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

// Enabled reports whether mails are sent, or, in development without a mail server, logged. If not, Send drops them.
func (o *Outbox) Enabled() bool { return o.options.Server != nil || o.options.Development }

// Queued returns how many mails wait.
func (o *Outbox) Queued() int64 { return o.queued.Load() }

// Oldest returns how long the oldest waiting mail has been waiting; 0 if none waits.
func (o *Outbox) Oldest() time.Duration {
	oldest := o.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(0, store.TimeOf(o.now()).Sub(store.Time(oldest)))
}

// full refuses requests for mail while too many mails wait. It is the same for every recipient.
func full() error {
	e := fault.New(fault.RateLimited, fault.TooManyAttempts, "too many mails are waiting to be sent: try again later")
	e.RetryAfter = time.Minute
	return e
}

// Admit decides, in tx, whether a caller's request may send a mail to recipient, and takes it from the recipient's
// budget. Call it before looking up the account, with the key of the address (account.EmailKey) whether or not there is
// such an account, so that all addresses cost the same:
//
//   - true: Send the mail, if there is an account.
//   - false: the recipient has had too many mails. Send nothing and answer as usual: another answer would reveal the
//     requests of others. The budget is taken from recipients without an account too.
//   - RATE_LIMITED: the outbox is full. Return the error.
//
// Notices about a change that has been made, such as password-changed, are sent without Admit: an attacker must not be
// able to suppress them.
func (o *Outbox) Admit(tx *store.Tx, recipient string) (admitted bool, err error) {
	if o.queued.Load() >= maxQueued {
		return false, full()
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
	_, err = tx.Exec(`INSERT INTO mail (id, message_id, kind, sealed, challenge, user_id, locale, state, attempts,
			next_at, last_error, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, now_us(), '', now_us(), $8)`,
		id.String(), id.String()+"@"+domain(o.from.Address), m.Kind, sealed, m.Challenge, m.User, m.Locale,
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

func (o *Outbox) unseal(id, sealed string) (c content, err error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return c, fmt.Errorf("decode mail %s: %w", id, err)
	}
	plain, _, err := o.secret.Unseal(sealing, raw, []byte(id))
	if err != nil {
		return c, fmt.Errorf("mail %s: %w", id, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode mail %s: %w", id, err)
	}
	return c, nil
}
