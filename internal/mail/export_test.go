package mail

import (
	"context"
	"crypto/tls"
	"time"
)

// MaxQueued is maxQueued.
const MaxQueued = maxQueued

// SetQueued sets the number of mails that o believes to wait.
func SetQueued(o *Outbox, n int64) { o.queued.Store(n) }

// SendDue sends the due mails, as Follow does.
func SendDue(ctx context.Context, o *Outbox) error { return o.deliver(ctx) }

// Count counts the waiting mails, as Follow does.
func Count(ctx context.Context, o *Outbox) error { return o.count(ctx) }

// Trust makes o trust the certificates that config trusts.
func Trust(o *Outbox, config *tls.Config) { o.courier.tls.RootCAs = config.RootCAs }

// Hurry shortens the timeouts of SMTP.
func Hurry(o *Outbox, step time.Duration) { o.courier.step, o.courier.accept = step, step }

// Resume makes o try the mail server again now.
func Resume(o *Outbox) { o.sender.resume = time.Time{} }

// Kinds returns all kinds.
func Kinds() (all []Kind) {
	for kind := range kinds {
		all = append(all, kind)
	}
	return all
}

// NeedsChallenge reports whether a kind shows a link or a code.
func NeedsChallenge(kind Kind) bool { return kinds[kind] != nothing }
