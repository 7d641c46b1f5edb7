package graph

import "github.com/graphwarden/graphwarden/internal/store"

// ReadCursor parses the cursor of a list.
func (c *Cursors) ReadCursor(list, cursor string) (store.Position, bool) { return c.read(list, cursor) }

// WriteCursor writes the cursor of a list.
func (c *Cursors) WriteCursor(list string, at store.Position) string { return c.write(list, at) }
