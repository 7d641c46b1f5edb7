package replica

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"strings"

	_ "github.com/lib/pq" // the driver "postgres"

	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// NewSchema creates a schema in the database at raw, and returns the URL that selects it.
func NewSchema(ctx context.Context, raw string) (database string, drop func(), err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", nil, errors.New(storetest.URLVariable + " is not a URL")
	}
	admin, err := sql.Open("postgres", raw)
	if err != nil {
		return "", nil, err
	}
	schema := "bench_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return "", nil, errors.Join(err, admin.Close())
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String(), func() {
		_, _ = admin.ExecContext(ctx, "DROP SCHEMA "+schema+" CASCADE") // an error does not matter for a temporary server
		_ = admin.Close()
	}, nil
}
