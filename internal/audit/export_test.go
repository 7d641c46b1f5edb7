package audit

import "context"

// KeepFolded is maxFolded for a test that has not a million.
func (l *Log) KeepFolded(n int) { l.maxFolded = n }

// FeedPage is how many entries a reading holds at once.
const FeedPage = feedPage

// Tell reads and hands out the news once.
func (f *Feed) Tell(ctx context.Context) error { return f.tell(ctx) }
