package mail

// MaxQueued is maxQueued.
const MaxQueued = maxQueued

// SetQueued sets the number of mails that o believes to wait.
func SetQueued(o *Outbox, n int64) { o.queued.Store(n) }
