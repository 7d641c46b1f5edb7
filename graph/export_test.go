package graph

import (
	"context"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
)

// ReadCursor parses the cursor of a list.
func (c *Cursors) ReadCursor(list, cursor string) (store.Position, bool) { return c.read(list, cursor) }

// WriteCursor writes the cursor of a list.
func (c *Cursors) WriteCursor(list string, at store.Position) string { return c.write(list, at) }

// NewDeadline returns a deadline and its end.
func NewDeadline(parent context.Context, at time.Time, cause error) (ctx context.Context, end func()) {
	d := &deadline{Context: parent, at: at, cause: cause}
	return d, d.end
}
