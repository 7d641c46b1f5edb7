package audit

import "context"

// KeepFolded sets how many folded entries Prune keeps.
func (l *Log) KeepFolded(n int) { l.maxFolded = n }

// FeedPage is the number of entries per page.
const FeedPage = feedPage

// Poll delivers the new entries once.
func (f *Feed) Poll(ctx context.Context) error { return f.poll(ctx) }
