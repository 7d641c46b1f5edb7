package graph

import "github.com/graphwarden/graphwarden/internal/store"

// ReadCursor and WriteCursor are what connections do with the cursors of a list.
func (c *Cursors) ReadCursor(list, cursor string) (store.Position, bool) { return c.read(list, cursor) }

// WriteCursor is explained at ReadCursor.
func (c *Cursors) WriteCursor(list string, at store.Position) string { return c.write(list, at) }
