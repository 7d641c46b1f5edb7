package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Users are found along user_terms: a term is a facet, a colon, and how one of the user's texts begins. Each
// user has the empty facet; that of each role but USER, which everybody has; and once disabled, each of
// these again as a disabled user's. So what few users are is found as fast as what all are.

// facet is a selection of users that has an index of its own.
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

// everybody is the facet of all users.
const everybody = ":"

// maxScanned bounds the candidates that one page looks at: where few of them fit, a page is short, and
// the next goes on behind the last one looked at. However many users there are, no page is slow.
const maxScanned = 1000

// fold is the spelling that texts are compared in.
func fold(text string) string { return strings.ToLower(norm.NFC.String(strings.TrimSpace(text))) }

// terms is what u is found by. The empty text, in facets that not all users have, lists the users of one.
func (u *User) terms() []string {
	texts := []string{fold(u.Email)}
	if u.Username != nil {
		texts = append(texts, *u.Username)
	}
	if u.Name != "" {
		texts = append(texts, fold(u.Name))
	}
	var terms []string
	for _, role := range u.Roles() {
		for _, disabled := range []bool{false, true} {
			if disabled && !u.Disabled() {
				continue
			}
			f := facet(role, disabled)
			for _, text := range texts {
				terms = append(terms, f+text)
			}
			if f != everybody {
				terms = append(terms, f)
			}
		}
	}
	return terms
}

// index brings what u is found by up to date.
func index(tx *store.Tx, u *User) error {
	terms := u.terms()
	for _, term := range terms {
		if _, err := tx.Exec("INSERT INTO user_terms (term, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", term, u.ID); err != nil {
			return fmt.Errorf("index user: %w", err)
		}
	}
	list, args := store.List(append(terms, string(u.ID)))
	last := fmt.Sprintf("$%d", len(args)) // List ends with the id, which is no term
	if _, err := tx.Exec("DELETE FROM user_terms WHERE user_id = "+last+" AND term NOT IN "+list, args...); err != nil {
		return fmt.Errorf("index user: %w", err)
	}
	return nil
}

// Filter selects users; what is zero selects all.
type Filter struct {
	// Search is a prefix of an e-mail address, username or name, in any case.
	Search   string
	Role     token.Role
	Disabled *bool
}

// Page is a window of a list of users.
type Page struct {
	Users     []*User
	Positions []store.Position // of each
	More      bool             // beyond the window, in the direction read
	// Stopped is where the reading stopped because too few of the candidates fitted; else nil.
	Stopped store.Position
}

// candidate is a user who may be on a page, and where they stand.
type candidate struct {
	Term string `db:"term"`
	ID   ID     `db:"user_id"`
	Fits bool   `db:"fits"`
}

func (c candidate) position() store.Position { return store.Position{c.Term, string(c.ID)} }

// List returns the users that f selects: found by Search in the order of what they were found by, else
// the newest first.
func (s *Service) List(ctx context.Context, f Filter, w store.Window) (*Page, error) {
	page := &Page{}
	if !utf8.ValidString(f.Search) || strings.ContainsRune(f.Search, 0) {
		return page, nil // nobody is called that, and a database would choke on it
	}
	var found []candidate
	within, chunk := w, w.Limit+1
	for scanned := 0; ; chunk *= 2 {
		var rows []candidate
		query, args := f.candidates(within, chunk)
		if err := s.db.Select(ctx, &rows, query, args...); err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		for _, row := range rows {
			if row.Fits {
				found = append(found, row)
			}
		}
		scanned += len(rows)
		if len(found) > w.Limit || len(rows) < chunk {
			break
		}
		last := rows[len(rows)-1].position()
		if scanned >= maxScanned {
			page.Stopped = last
			break
		}
		if w.FromEnd {
			within.Before = last
		} else {
			within.After = last
		}
	}
	found, page.More = store.Cut(w, found)
	page.More = page.More || page.Stopped != nil
	var ids []ID
	for _, one := range found {
		ids = append(ids, one.ID)
		page.Positions = append(page.Positions, one.position())
	}
	users, err := s.ByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	page.Users = users
	return page.withoutGaps(), nil
}

// withoutGaps leaves those out who were deleted between the two queries.
func (p *Page) withoutGaps() *Page {
	for i := len(p.Users) - 1; i >= 0; i-- {
		if p.Users[i] == nil {
			p.Users, p.Positions = slices.Delete(p.Users, i, i+1), slices.Delete(p.Positions, i, i+1)
		}
	}
	return p
}

// statement collects the arguments of a statement while it is written.
type statement struct{ args []any }

func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return fmt.Sprintf("$%d", len(s.args))
}

// candidates writes the statement that reads the next candidates: along the index of the facet, with the
// rest of f as what makes one fit.
func (f Filter) candidates(w store.Window, limit int) (string, []any) {
	s := &statement{}
	direction := "DESC"
	if w.FromEnd != (f.Search != "") {
		direction = "ASC"
	}
	facet := f.facet()
	var query string
	switch {
	case f.Search != "":
		low, high := prefixRange(facet + fold(f.Search))
		from, to := s.arg(low), s.arg(high)
		query = "SELECT t.term, t.user_id, " + f.fits() +
			" AND NOT EXISTS (SELECT 1 FROM user_terms o WHERE o.user_id = t.user_id AND o.term >= " + from + " AND o.term < t.term) AS fits" +
			" FROM (SELECT term, user_id FROM user_terms WHERE term >= " + from + " AND term < " + to +
			bounded(s, w, "(term, user_id)", ">", "<", 0) + " ORDER BY term " + direction + ", user_id " + direction + " LIMIT " + s.arg(limit) +
			") t JOIN users u ON u.id = t.user_id ORDER BY t.term " + direction + ", t.user_id " + direction
	case facet != everybody:
		query = "SELECT t.term, t.user_id, " + f.fits() + " AS fits FROM user_terms t JOIN users u ON u.id = t.user_id WHERE t.term = " + s.arg(facet) +
			bounded(s, w, "t.user_id", "<", ">", 1) + " ORDER BY t.user_id " + direction
	default:
		query = "SELECT '' AS term, u.id AS user_id, " + f.fits() + " AS fits FROM users u WHERE TRUE" +
			bounded(s, w, "u.id", "<", ">", 1) + " ORDER BY u.id " + direction
	}
	return query + " LIMIT " + s.arg(limit), s.args
}

// bounded writes the bounds of a window: column stands for the position's values from skip on.
func bounded(s *statement, w store.Window, column, after, before string, skip int) (conditions string) {
	for _, bound := range []struct {
		at       store.Position
		operator string
	}{{w.After, after}, {w.Before, before}} {
		if bound.at == nil {
			continue
		}
		var values []string
		for _, value := range bound.at[skip:] {
			values = append(values, s.arg(value))
		}
		conditions += " AND " + column + " " + bound.operator + " (" + strings.Join(values, ", ") + ")"
	}
	return conditions
}

// facet is the facet that tells most of f.
func (f Filter) facet() string { return facet(f.Role, f.Disabled != nil && *f.Disabled) }

// fits writes what the facet of f does not tell, as a condition on the user u.
func (f Filter) fits() string {
	if f.Disabled != nil && !*f.Disabled {
		return "u.disabled_at IS NULL"
	}
	return "TRUE"
}

// Count returns how many users f selects.
func (s *Service) Count(ctx context.Context, f Filter) (n int, err error) {
	if !utf8.ValidString(f.Search) || strings.ContainsRune(f.Search, 0) {
		return 0, nil
	}
	q := &statement{}
	facet := f.facet()
	query := "SELECT count(*) FROM users u WHERE " + f.fits()
	switch {
	case f.Search != "":
		low, high := prefixRange(facet + fold(f.Search))
		query += " AND u.id IN (SELECT user_id FROM user_terms WHERE term >= " + q.arg(low) + " AND term < " + q.arg(high) + ")"
	case facet != everybody:
		query += " AND u.id IN (SELECT user_id FROM user_terms WHERE term = " + q.arg(facet) + ")"
	}
	if err := s.db.Get(ctx, &n, query, q.args...); err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

// prefixRange is the range of the texts that begin with prefix, in the order of bytes: up to the prefix with
// its last character replaced by the next.
func prefixRange(prefix string) (low, high string) {
	for rest := prefix; ; {
		last, size := utf8.DecodeLastRuneInString(rest)
		rest = rest[:len(rest)-size]
		switch {
		case last == 0xD7FF: // surrogates are no characters
			return prefix, rest + "\uE000"
		case last < utf8.MaxRune: // the greatest has none after it; the one before counts then
			return prefix, rest + string(last+1)
		}
	}
}
