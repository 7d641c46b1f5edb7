package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/net/idna"
)

// keysInASCII rewrites the keys of international addresses as package account does now: with the domain in ASCII, so
// that both spellings share one key. If two accounts share a key, the verified one keeps it, or else the older one. The
// other account keeps its username and its sessions, and gets an audit entry. The function repeats the rule of package
// account, because a later change there must not change this migration.
func keysInASCII(ctx context.Context, tx *sql.Tx) error {
	users, err := pairs(ctx, tx, `SELECT id, email_key FROM users
		WHERE length(email_key) <> octet_length(email_key) OR email_key LIKE '%xn--%'
		ORDER BY CASE WHEN email_verified THEN 0 ELSE 1 END, created_at, id`)
	if err != nil {
		return fmt.Errorf("read international addresses: %w", err)
	}
	profile := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false))
	owners := map[string]string{} // ids by key
	var displaced, keyed [][2]string
	for _, u := range users {
		local, domain, _ := strings.Cut(u[1], "@")
		ascii, err := profile.ToASCII(domain)
		if err != nil {
			continue // ParseEmail rejects this domain now; the account keeps its key
		}
		key := local + "@" + ascii
		if owners[key] != "" {
			displaced = append(displaced, [2]string{u[0], owners[key]})
			keyed = append(keyed, [2]string{u[0], key + " " + u[0]}) // not the key of any address
			continue
		}
		owners[key] = u[0]
		keyed = append(keyed, [2]string{u[0], key})
		inUnicode, _ := profile.ToUnicode(ascii)
		if err := findBy(ctx, tx, u[0], key, local+"@"+inUnicode); err != nil {
			return err
		}
	}
	for _, pair := range displaced {
		if err := recordDisplaced(ctx, tx, pair[0], pair[1]); err != nil {
			return err
		}
	}
	return setKeys(ctx, tx, keyed)
}

// setKeys sets the keys of users by their ids. It first clears all of them, because two users may swap keys.
func setKeys(ctx context.Context, tx *sql.Tx, keyed [][2]string) error {
	for _, pair := range keyed {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET email_key = id WHERE id = $1", pair[0]); err != nil {
			return fmt.Errorf("change key: %w", err)
		}
	}
	for _, pair := range keyed {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET email_key = $2 WHERE id = $1", pair[0], pair[1]); err != nil {
			return fmt.Errorf("change key: %w", err)
		}
	}
	return nil
}

func recordDisplaced(ctx context.Context, tx *sql.Tx, id, owner string) error {
	entry, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit id: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit_log
			(id, at, last_at, action, outcome, actor_id, user_id, session_id, ip, user_agent, request_id, detail)
		VALUES ($1, now_us(), now_us(), 'user_updated', 'done', '', $2, '', '', '', '', $3)`,
		entry.String(), id, "its address is also that of "+owner+", who keeps it for signing in")
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// findBy adds spellings to a user's search terms, in each of the user's facets.
func findBy(ctx context.Context, tx *sql.Tx, id string, spellings ...string) error {
	terms, err := pairs(ctx, tx, "SELECT term, user_id FROM user_terms WHERE user_id = $1", id)
	if err != nil {
		return fmt.Errorf("read terms: %w", err)
	}
	for _, term := range terms {
		facet, _, _ := strings.Cut(term[0], ":")
		for _, spelling := range spellings {
			_, err := tx.ExecContext(ctx, `INSERT INTO user_terms (term, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
				facet+":"+spelling, id)
			if err != nil {
				return fmt.Errorf("index user: %w", err)
			}
		}
	}
	return nil
}

// pairs reads rows of two strings.
func pairs(ctx context.Context, tx *sql.Tx, query string, args ...any) (all [][2]string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var pair [2]string
		if err := rows.Scan(&pair[0], &pair[1]); err != nil {
			return nil, err
		}
		all = append(all, pair)
	}
	return all, rows.Err()
}
