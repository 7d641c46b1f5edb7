package account

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Users are found by the table user_terms. A term is a facet, a colon, and one of the user's texts. Each user has the
// empty facet and one for each role except USER, which all have; a disabled user has each of these again as disabled.
// So rare selections are found as fast as common ones. Hidden users have no terms.

// facet returns the name of a selection of users with its own index.
func facet(role token.Role, disabled bool) string {
	f := ""
	if disabled {
		f = "disabled"
	}
	if role != "" && role != RoleUser {
		f += "role=" + string(role)
	}
	return f + ":"
}

// allUsers is the facet of all users.
const allUsers = ":"

// maxChunk bounds the candidates that one statement reads, and those of a page to twice as many. If few of them fit, a
// page is short, and the next continues after the last candidate. So no page is slow, however many users there are.
const maxChunk = 512

// Fold returns text in the spelling that is compared.
func Fold(text string) string { return strings.ToLower(norm.NFC.String(Trim(text))) }

// terms returns the terms of u. In facets that not all users have, the empty text lists the users of the facet.
func (u *User) terms() []string {
	if u.Hidden() {
		return nil
	}
	texts := []string{Fold(u.Email)}
	texts = append(texts, otherSpellings(texts[0])...)
	if u.Username != nil {
		texts = append(texts, *u.Username)
	}
	if u.Name != "" {
		texts = append(texts, Fold(u.Name))
	}
	var terms []string
	for _, role := range u.Roles {
		for _, disabled := range []bool{false, true} {
			if disabled && !u.Disabled() {
				continue
			}
			f := facet(role, disabled)
			for _, text := range texts {
				terms = append(terms, f+text)
			}
			if f != allUsers {
				terms = append(terms, f)
			}
		}
	}
	return terms
}

// index updates the terms of u.
func index(tx *store.Tx, u *User) error {
	terms := u.terms()
	for _, term := range terms {
		_, err := tx.Exec("INSERT INTO user_terms (term, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", term, u.ID)
		if err != nil {
			return fmt.Errorf("index user: %w", err)
		}
	}
	var q store.Query
	stale := "DELETE FROM user_terms WHERE user_id = " + q.Arg(u.ID)
	if len(terms) > 0 {
		stale += " AND term NOT IN " + store.In(&q, terms)
	}
	if _, err := tx.Exec(stale, q.Args...); err != nil {
		return fmt.Errorf("index user: %w", err)
	}
	return nil
}

// Filter selects users; zero fields select all.
type Filter struct {
	// Search is a prefix of an e-mail address, username or name, as Fold spells it.
	Search   string
	Role     token.Role
	Disabled *bool
}

// candidate is a user who may be on a page, and the term by which they were found.
type candidate struct {
	User
	Term string `db:"term"`
}

func (c *candidate) position() store.Position { return store.Position{c.Term, string(c.ID)} }

// List returns the users that f selects: with Search in the order of the terms found, else the newest first.
func (s *Service) List(ctx context.Context, f Filter, w store.Window) (*store.Page[User], error) {
	if !f.isSearchable() {
		return &store.Page[User]{}, nil
	}
	var found []*candidate
	var stopped store.Position
	within := w
	// Chunks are powers of two, so that few different statements are prepared.
	for chunk := 1 << bits.Len(uint(w.Limit)); ; chunk *= 2 {
		var rows []*candidate
		query, args := f.candidates(within, chunk)
		if err := s.db.Select(ctx, &rows, query, args...); err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		for _, row := range rows {
			if f.fits(row) {
				found = append(found, row)
			}
		}
		if len(found) > w.Limit || len(rows) < chunk {
			break
		}
		last := rows[len(rows)-1].position()
		if chunk >= maxChunk {
			stopped = last
			break
		}
		if w.FromEnd {
			within.Before = last
		} else {
			within.After = last
		}
	}
	page := store.NewPage(w, found, (*candidate).position)
	users := make([]*User, len(page.Rows))
	for i, one := range page.Rows {
		users[i] = &one.User
	}
	return &store.Page[User]{
		Rows:      users,
		Positions: page.Positions,
		More:      page.More || stopped != nil,
		Stopped:   stopped,
	}, nil
}

// isSearchable reports whether databases accept the search text of f. No user matches other text.
func (f Filter) isSearchable() bool {
	return utf8.ValidString(f.Search) && !strings.ContainsRune(f.Search, 0)
}

// The orders of lists: of all users, of those of a facet, and of those that a search finds.
var (
	newestFirst        = store.Order{Columns: []store.Column{{Name: "id"}}, Descending: true}
	newestFirstOfFacet = store.Order{Columns: []store.Column{{Name: "user_id"}}, Descending: true}
	byTerm             = store.Order{Columns: []store.Column{{Name: "term"}, {Name: "user_id"}}}
)

// candidates returns the statement that reads the next candidates from the index of the facet. The limit is not an
// argument, because Postgres must know the small number of rows when it makes a plan for any arguments.
func (f Filter) candidates(w store.Window, limit int) (query string, args []any) {
	var q store.Query
	if f.Search == "" && f.facet() == allUsers {
		return fmt.Sprintf("SELECT '' AS term, "+userColumns+" FROM users WHERE TRUE"+visible+"%s LIMIT %d",
			q.Within(w, newestFirst)+newestFirst.By(w), limit), q.Args
	}
	order, terms := newestFirstOfFacet, f.found(&q)
	if f.Search != "" {
		order = byTerm
	}
	return fmt.Sprintf("SELECT term, "+userColumns+" FROM (SELECT term, user_id FROM user_terms WHERE %s LIMIT %d) AS t"+
		" JOIN users ON id = user_id%s", terms+q.Within(w, order)+order.By(w), limit, order.By(w)), q.Args
}

// found returns the condition of the terms by which f finds users.
func (f Filter) found(q *store.Query) string {
	if f.Search == "" {
		return "term = " + q.Arg(f.facet())
	}
	low, high := f.terms()
	return "term >= " + q.Arg(low) + " AND term < " + q.Arg(high)
}

// facet returns the narrowest facet of f.
func (f Filter) facet() string { return facet(f.Role, f.Disabled != nil && *f.Disabled) }

// terms returns the range of the terms that Search finds.
func (f Filter) terms() (low, high string) { return prefixRange(f.facet() + f.Search) }

// fits reports whether f selects a user of its facet, by the first of the user's terms that are found: each user is
// listed once.
func (f Filter) fits(c *candidate) bool {
	if f.Disabled != nil && *f.Disabled != c.Disabled() {
		return false
	}
	if f.Search == "" {
		return true
	}
	low, _ := f.terms()
	return !slices.ContainsFunc(c.terms(), func(term string) bool { return low <= term && term < c.Term })
}

// Count returns how many users f selects.
func (s *Service) Count(ctx context.Context, f Filter) (n int, err error) {
	if !f.isSearchable() {
		return 0, nil
	}
	var q store.Query
	query := "SELECT count(*) FROM users WHERE TRUE" + visible
	if f.Disabled != nil && !*f.Disabled {
		query += " AND disabled_at IS NULL"
	}
	if f.Search != "" || f.facet() != allUsers {
		query += " AND id IN (SELECT user_id FROM user_terms WHERE " + f.found(&q) + ")"
	}
	if err := s.db.Get(ctx, &n, query, q.Args...); err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

// prefixRange returns the range of the texts that begin with prefix, in the order of bytes: up to the prefix with its
// last character replaced by the next.
func prefixRange(prefix string) (low, high string) {
	for rest := prefix; ; {
		last, size := utf8.DecodeLastRuneInString(rest)
		rest = rest[:len(rest)-size]
		switch {
		case last == 0xD7FF: // surrogates are not characters
			return prefix, rest + "\uE000"
		case last < utf8.MaxRune: // the greatest has no successor, so that of the one before counts
			return prefix, rest + string(last+1)
		}
	}
}
