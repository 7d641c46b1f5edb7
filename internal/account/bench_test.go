package account_test

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

var crowdSize = flag.Int("users", 1_000_000, "how many users the larger server of BenchmarkAdminPages has")

const (
	// slowest is the maximum ratio of the times with many and with few users.
	slowest = 1.5
	// tries is the number of measurements of each page per server.
	tries = 41
)

// BenchmarkAdminPages checks that the time of administrators' pages does not depend on the number of users. It requests
// each page from a server with 1,000 users and from one with -users in turn, and compares the lower quartiles.
func BenchmarkAdminPages(b *testing.B) {
	storetest.URLsB(b, func(b *testing.B, url func() string) {
		few, many := crowd(b, url(), 1000), crowd(b, url(), *crowdSize)
		for b.Loop() {
			for _, page := range adminPages {
				fmt.Printf("%-40s %s\n", page[0], compare(b, few, many, page[1])) // b.Log would truncate it
			}
		}
	})
}

const userFields = ` { nodes { id email name roles disabled } pageInfo { hasNextPage endCursor } } }`
const entryFields = ` { nodes { at action ip user { email } actor { email } } pageInfo { hasNextPage endCursor } } }`

// adminPages are named queries. FAR stands for a cursor ten pages on, USER for the id of a user.
var adminPages = [][2]string{
	{"users", `{ users` + userFields},
	{"users, 100 of them", `{ users(first: 100)` + userFields},
	{"users, ten pages on", `{ users(after: "FAR")` + userFields},
	{"users, the last page", `{ users(last: 20)` + userFields},
	{"users with sessions and log", `{ users { nodes {
		email sessions(first: 1) { nodes { id } } securityLog(first: 1) { nodes { action } } } } }`},
	{"search that finds all", `{ users(search: "user")` + userFields},
	{"search that finds all, the last page", `{ users(search: "user", last: 20)` + userFields},
	{"search that finds a tenth", `{ users(search: "jane")` + userFields},
	{"search that finds one", `{ users(search: "user0000500@example.com")` + userFields},
	{"search that finds none", `{ users(search: "zzz")` + userFields},
	{"administrators", `{ users(role: ADMIN)` + userFields},
	{"search among administrators", `{ users(role: ADMIN, search: "jane")` + userFields},
	{"everybody's role", `{ users(role: USER)` + userFields},
	{"disabled", `{ users(disabled: true)` + userFields},
	{"disabled administrators", `{ users(disabled: true, role: ADMIN)` + userFields},
	{"search among the disabled", `{ users(disabled: true, search: "jane")` + userFields},
	{"search among the enabled", `{ users(disabled: false, search: "jane")` + userFields},
	{"one user", `{ user(id: "USER") { email sessions { nodes { id } } securityLog { nodes { action } } } }`},
	{"audit log", `{ auditLog` + entryFields},
	{"audit log, the last page", `{ auditLog(last: 20)` + entryFields},
	{"audit log of a user", `{ auditLog(filter: {userId: "USER"})` + entryFields},
	{"audit log by a user", `{ auditLog(filter: {actorId: "USER"})` + entryFields},
	{"audit log of a rare action", `{ auditLog(filter: {action: PRIVILEGE_PERMISSIONS_CHANGED})` + entryFields},
	{"audit log since", `{ auditLog(filter: {since: "2026-01-02T03:04:05Z"})` + entryFields},
}

// fill is a server with many users, and the values of the placeholders in queries.
type fill struct {
	admin *apptest.Client
	words *strings.Replacer
}

func compare(b *testing.B, few, many fill, query string) string {
	b.Helper()
	var took [2][]time.Duration
	for i := range tries + 1 {
		for n, one := range []fill{few, many} {
			began := time.Now()
			answer := one.admin.Do(b, one.words.Replace(query), nil)
			if answer.Into(b, &struct{}{}); i > 0 { // the first request is a warm-up
				took[n] = append(took[n], time.Since(began))
			}
		}
	}
	for n := range took {
		slices.Sort(took[n])
	}
	small, large := took[0][tries/4], took[1][tries/4] // the lower quartile, because load only adds time
	ratio := float64(large) / float64(small)
	if ratio > slowest {
		b.Errorf("%s takes %.2f times as long with many users", query, ratio)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%8.2f ms %8.2f ms   x %.2f", ms(small), ms(large), ratio)
}

// crowd starts a server with n users and as many audit entries. For any n, 30 users are administrators and 50 are
// disabled.
func crowd(b *testing.B, url string, n int) fill {
	b.Helper()
	srv := apptest.Start(b, apptest.Database(url), func(o *apptest.Options) {
		o.Config.AccessLife = time.Hour
		o.Config.AuditLife = 100_000 * time.Hour // because the entries are old
	})
	ids := make([]account.ID, n)
	const batch = 1000
	for begin := 0; begin < n; begin += batch {
		err := srv.App.DB.Tx(b.Context(), func(tx *store.Tx) error {
			users := &rows{tx: tx, into: `users (id, email, email_key, email_verified, username, name, roles, version,
				created_at, updated_at, disabled_at)`}
			terms := &rows{tx: tx, into: "user_terms (term, user_id)"}
			entries := &rows{tx: tx, into: `audit_log (id, at, last_at, action, outcome, actor_id, user_id, session_id,
				ip, user_agent, request_id, detail)`}
			var people []*account.User
			for i := begin; i < min(begin+batch, n); i++ {
				u := person(i, n)
				ids[i], people = u.ID, append(people, u)
				users.add(u.ID, u.Email, u.Email, false, *u.Username, u.Name, u.Roles.String(), 1,
					u.CreatedAt, u.CreatedAt, u.DisabledAt)
				entries.add(uuid.Must(uuid.NewV7()).String(), u.CreatedAt, u.CreatedAt, audit.AuthnLoginSuccess,
					audit.Done, u.ID, u.ID, "", "192.0.2.1", "a browser", "", "")
			}
			users.flush() // first, because terms refer to users
			for _, u := range people {
				for _, term := range account.Terms(u) {
					terms.add(term, u.ID)
				}
			}
			terms.flush()
			entries.flush()
			return errors.Join(users.err, terms.err, entries.err)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	settle(b, url)
	f := fill{admin: srv.As(b, "ADMIN")}
	cursor := "null"
	for range 10 {
		var page struct {
			Users struct{ PageInfo struct{ EndCursor string } }
		}
		f.admin.Do(b, `{ users(after: `+cursor+`) { pageInfo { endCursor } } }`, nil).Into(b, &page)
		cursor = `"` + page.Users.PageInfo.EndCursor + `"`
	}
	f.words = strings.NewReplacer(`"FAR"`, cursor, "USER", string(ids[n/2]))
	return f
}

// settle runs the maintenance that Postgres would otherwise run during the measurements.
func settle(b *testing.B, url string) {
	b.Helper()
	if !strings.HasPrefix(url, "postgres") {
		return
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
}

func person(i, n int) *account.User {
	given := []string{"Jane", "Mary", "Ann", "Sue", "Eve", "Tom", "Ben", "Joe", "Max", "Kai"}[i%10]
	username := fmt.Sprintf("%s%07d", strings.ToLower(given), i)
	u := &account.User{
		ID:        account.ID(uuid.Must(uuid.NewV7()).String()),
		Email:     fmt.Sprintf("user%07d@example.com", i),
		Username:  &username,
		Name:      fmt.Sprintf("%s Family%d", given, i%1000),
		Roles:     token.Roles{"USER"},
		CreatedAt: store.Time(1_700_000_000_000_000 + int64(i)*1_000_000),
	}
	if i%(n/30) == 0 {
		u.Roles = token.Roles{"ADMIN", "USER"}
	}
	if i%(n/50) == 0 {
		u.DisabledAt = &u.CreatedAt
	}
	return u
}

// rows inserts many rows with few statements.
type rows struct {
	tx     *store.Tx
	into   string
	values []string
	args   []any
	err    error
}

func (r *rows) add(args ...any) {
	var marks []string
	for i := range args {
		marks = append(marks, fmt.Sprintf("$%d", len(r.args)+i+1))
	}
	r.values, r.args = append(r.values, "("+strings.Join(marks, ", ")+")"), append(r.args, args...)
	if len(r.values) == 50 {
		r.flush()
	}
}

func (r *rows) flush() {
	if r.err == nil && len(r.values) > 0 {
		_, r.err = r.tx.Exec("INSERT INTO "+r.into+" VALUES "+strings.Join(r.values, ", "), r.args...)
	}
	r.values, r.args = nil, nil
}
