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

// What users are found by stands in user_terms: these prefixes tell its two kinds of terms apart.
const (
	textTerm = "text:"
	roleTerm = "role:"
)

// maxScanned bounds the candidates that one page looks at: where few of them fit, a page is short, and
// the next goes on behind the last one looked at. However many users there are, no page is slow.
const maxScanned = 1000

// fold is the spelling that texts are compared in.
func fold(text string) string { return strings.ToLower(norm.NFC.String(strings.TrimSpace(text))) }

// index brings what u is found by up to date.
func index(tx *store.Tx, u *User) error {
	terms := []string{textTerm + fold(u.Email)}
	if u.Username != nil {
		terms = append(terms, textTerm+*u.Username)
	}
	if u.Name != "" {
		terms = append(terms, textTerm+fold(u.Name))
	}
	for _, role := range u.Roles() {
		terms = append(terms, roleTerm+string(role))
	}
	for _, term := range terms {
		if _, err := tx.Exec("INSERT INTO user_terms (term, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", term, u.ID); err != nil {
			return fmt.Errorf("index user: %w", err)
		}
	}
	var had []string
	if err := tx.Select(&had, "SELECT term FROM user_terms WHERE user_id = $1", u.ID); err != nil {
		return fmt.Errorf("index user: %w", err)
	}
	for _, term := range had {
		if slices.Contains(terms, term) {
			continue
		}
		if _, err := tx.Exec("DELETE FROM user_terms WHERE term = $1 AND user_id = $2", term, u.ID); err != nil {
			return fmt.Errorf("index user: %w", err)
		}
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

// candidates writes the statement that reads the next candidates: along the index that tells most, with
// the rest of f as what makes one fit.
func (f Filter) candidates(w store.Window, limit int) (string, []any) {
	s := &statement{}
	direction := "DESC"
	if w.FromEnd != (f.Search != "") {
		direction = "ASC"
	}
	var query string
	switch {
	case f.Search != "":
		low, high := prefixRange(textTerm + fold(f.Search))
		from, to := s.arg(low), s.arg(high)
		query = "SELECT t.term, t.user_id, " + f.fits(s) +
			" AND NOT EXISTS (SELECT 1 FROM user_terms o WHERE o.user_id = t.user_id AND o.term >= " + from + " AND o.term < t.term) AS fits" +
			" FROM user_terms t JOIN users u ON u.id = t.user_id WHERE t.term >= " + from + " AND t.term < " + to +
			bounded(s, w, "(t.term, t.user_id)", ">", "<", 0) + " ORDER BY t.term " + direction + ", t.user_id " + direction
	case f.Role != "":
		term := s.arg(roleTerm + string(f.Role))
		query = "SELECT t.term, t.user_id, " + Filter{Disabled: f.Disabled}.fits(s) + " AS fits FROM user_terms t JOIN users u ON u.id = t.user_id WHERE t.term = " + term +
			bounded(s, w, "t.user_id", "<", ">", 1) + " ORDER BY t.user_id " + direction
	default:
		query = "SELECT '' AS term, u.id AS user_id, TRUE AS fits FROM users u WHERE " + f.fits(s) +
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

// fits writes the part of f that is no prefix as a condition on the user u.
func (f Filter) fits(s *statement) string {
	condition := "TRUE"
	if f.Role != "" {
		condition += " AND EXISTS (SELECT 1 FROM user_terms r WHERE r.user_id = u.id AND r.term = " + s.arg(roleTerm+string(f.Role)) + ")"
	}
	if f.Disabled != nil {
		condition += " AND (u.disabled_at IS NOT NULL) = " + s.arg(*f.Disabled)
	}
	return condition
}

// Count returns how many users f selects.
func (s *Service) Count(ctx context.Context, f Filter) (n int, err error) {
	if !utf8.ValidString(f.Search) || strings.ContainsRune(f.Search, 0) {
		return 0, nil
	}
	q := &statement{}
	query := "SELECT count(*) FROM users u WHERE " + f.fits(q)
	if f.Search != "" {
		low, high := prefixRange(textTerm + fold(f.Search))
		query += " AND u.id IN (SELECT user_id FROM user_terms WHERE term >= " + q.arg(low) + " AND term < " + q.arg(high) + ")"
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
