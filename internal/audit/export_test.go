package audit

// KeepFolded is maxFolded for a test that has not a million.
func (l *Log) KeepFolded(n int) { l.maxFolded = n }
