package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// maxIdleTime is how long a connection stays open that nothing uses.
const maxIdleTime = 5 * time.Minute

func openPostgres(ctx context.Context, source *dsn.Source, o Options) (*DB, error) {
	url := postgresDSN(source, o.Pooler)
	connector, err := newPostgresConnector(url)
	if err != nil {
		return nil, unusable(err)
	}
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	pooled := max(o.MaxConns-1, 1) // the one that is left is Conn's
	db.SetMaxOpenConns(pooled)
	db.SetMaxIdleConns(pooled)
	db.SetConnMaxIdleTime(maxIdleTime)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, unreachable(err, source, o.Pooler)
	}
	p := &pool{db: db, prepares: !o.Pooler}
	opened := &DB{dialect: Postgres, pooler: o.Pooler, connector: connector, read: p, write: p,
		apart: sqlx.NewDb(sql.OpenDB(connector), "postgres")}
	opened.apart.SetConnMaxIdleTime(maxIdleTime)
	if err := opened.detect(ctx, o, url); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("ask Postgres at %s what it can do: %w", source.Host(), err)
	}
	if err := opened.fit(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("the Postgres at %s does not fit: %w", source.Host(), err)
	}
	return opened, nil
}

// timeLimit is txTimeout as Postgres spells it.
const timeLimit = "8s"

// poolerLimits does for a transaction what the URL does for a session, see postgresDSN.
const poolerLimits = "SET LOCAL statement_timeout = '" + timeLimit + "'; SET LOCAL lock_timeout = '" + timeLimit +
	"'; SET LOCAL idle_in_transaction_session_timeout = '" + timeLimit + "'"

// postgresDSN completes the URL with what must not be left to the server's or the driver's default.
func postgresDSN(source *dsn.Source, pooler bool) string {
	defaults := map[string]string{"connect_timeout": "5"}
	if pooler {
		// A statement goes out in one piece: between the two that the driver sends else, the pooler could
		// change the session and lose the first.
		defaults["binary_parameters"] = "yes"
	} else { // poolers refuse session settings at the start of a connection
		defaults["application_name"] = "graphwarden"
		defaults["statement_timeout"] = timeLimit
		defaults["lock_timeout"] = timeLimit
		defaults["idle_in_transaction_session_timeout"] = timeLimit
	}
	return source.Driver(defaults)
}
