package graph

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/graph/model"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// Cursors writes and reads the positions in lists that clients hold. They are authenticated, so that a forged cursor,
// or one of another list, is refused and never reaches a query.
type Cursors struct{ keys [][]byte }

// NewCursors derives the keys.
func NewCursors(s *secret.Secret) *Cursors { return &Cursors{s.Keys("cursor")} }

// macSize is the number of bytes of the MAC in a cursor.
const macSize = 16

// mac authenticates a position in a list. It includes the length of the list's name, which may contain any text, so
// that the boundary between the two is unambiguous.
func mac(key []byte, list, position string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(fmt.Appendf(nil, "%d:%s%s", len(list), list, position))
	return h.Sum(nil)[:macSize]
}

func (c *Cursors) write(list string, at store.Position) string {
	position := strings.Join(at, "\x00")
	return base64.RawURLEncoding.EncodeToString(append(mac(c.keys[0], list, position), position...))
}

func (c *Cursors) read(list, cursor string) (at store.Position, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < macSize || strings.ContainsAny(cursor, "\r\n") { // which decoding skips
		return nil, false
	}
	position := string(raw[macSize:])
	for _, key := range c.keys {
		ok = hmac.Equal(mac(key, list, position), raw[:macSize]) || ok
	}
	return strings.Split(position, "\x00"), ok
}

// paging holds the checked arguments of a connection.
type paging struct {
	store.Window
	cursors *Cursors
	list    string
}

// page checks the arguments of a connection and returns all problems together. list names the list that the cursors
// belong to; problems are those found in other arguments.
func (c *Cursors) page(
	list string, first *int32, after *string, last *int32, before *string, problems ...fault.Field,
) (paging, error) {
	p := paging{store.Window{Limit: defaultPage, FromEnd: last != nil}, c, list}
	refuse := func(path string, reason fault.Reason, message string) {
		problems = append(problems, fault.Field{Path: path, Reason: reason, Message: message})
	}
	size := func(path string, n *int32) {
		if n == nil {
			return
		}
		p.Limit = int(*n)
		if *n < 1 || *n > maxPage {
			refuse(path, fault.Malformed, path+" must be from 1 to 100")
		}
	}
	size("first", first)
	size("last", last)
	if first != nil && last != nil {
		refuse("last", fault.ExactlyOneRequired, "give either first or last")
	}
	position := func(path string, cursor *string) store.Position {
		if cursor == nil {
			return nil
		}
		at, ok := c.read(list, *cursor)
		if !ok {
			refuse(path, fault.Malformed, path+" is not a cursor of this list")
		}
		return at
	}
	p.After, p.Before = position("after", after), position("before", before)
	return p, fault.Invalid(problems)
}

func (p paging) cursor(at store.Position) string { return p.cursors.write(p.list, at) }

// connection returns the edges and the page info of a page, unless the client selects neither: cursors take time. edge
// makes one edge.
func connection[T, E any](
	ctx context.Context, p paging, page *store.Page[T], edge func(cursor string, node *T) *E,
) ([]*E, *model.PageInfo) {
	if !graphql.AnyFieldRequested(ctx, "edges", "pageInfo") {
		return nil, nil
	}
	info := &model.PageInfo{HasNextPage: page.More && !p.FromEnd, HasPreviousPage: page.More && p.FromEnd}
	edges := make([]*E, len(page.Rows))
	for i, row := range page.Rows {
		cursor := p.cursor(page.Positions[i])
		edges[i] = edge(cursor, row)
		if i == 0 {
			info.StartCursor = &cursor
		}
		info.EndCursor = &cursor
	}
	if page.Stopped != nil {
		cursor := p.cursor(page.Stopped)
		if p.FromEnd {
			info.StartCursor = &cursor
		} else {
			info.EndCursor = &cursor
		}
	}
	return edges, info
}

// pageOf loads a user's page of a list, together with those of the users primed with that user.
func pageOf[T any](
	ctx context.Context, p paging, user token.UserID,
	list func(context.Context, []token.UserID, store.Window) (map[token.UserID]*store.Page[T], error),
) (*store.Page[T], error) {
	read := func(ctx context.Context, users []token.UserID) (map[token.UserID]*store.Page[T], error) {
		return list(ctx, users, p.Window)
	}
	return load(ctx, fmt.Sprint(p.list, p.Window, guard.Caller(ctx).SessionID), user, read)
}

// total calls count if the client selects totalCount.
func total(ctx context.Context, count func() (int, error)) (int32, error) {
	if !graphql.FieldRequested(ctx, "totalCount") {
		return 0, nil
	}
	n, err := count()
	return int32(n), err
}
