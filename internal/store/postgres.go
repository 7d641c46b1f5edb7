package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// maxIdleTime is how long an unused connection stays open.
const maxIdleTime = 5 * time.Minute

func openPostgres(ctx context.Context, source *dsn.Source, o Options) (*DB, error) {
	url := postgresDSN(source, o.Pooler)
	connector, err := newPostgresConnector(url)
	if err != nil {
		return nil, unusable(err)
	}
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	pooled := max(o.MaxConns-1, 1) // one is reserved for Conn
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
		return nil, fmt.Errorf("detect the features of Postgres at %s: %w", source.Host(), err)
	}
	if err := opened.fit(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("the Postgres at %s is not suitable: %w", source.Host(), err)
	}
	return opened, nil
}

// timeLimit is txTimeout in Postgres' syntax.
const timeLimit = "8s"

// poolerLimits sets for a transaction what postgresDSN sets for a session.
const poolerLimits = "SET LOCAL statement_timeout = '" + timeLimit + "'; SET LOCAL lock_timeout = '" + timeLimit +
	"'; SET LOCAL idle_in_transaction_session_timeout = '" + timeLimit + "'"

// postgresDSN adds settings to the URL that must not depend on the defaults of the server or the driver.
func postgresDSN(source *dsn.Source, pooler bool) string {
	defaults := map[string]string{"connect_timeout": "5"}
	if pooler {
		// Send each statement in one message. The driver otherwise sends two, between which the pooler could switch sessions
		// and lose the first.
		defaults["binary_parameters"] = "yes"
	} else { // poolers refuse session settings in the startup message
		defaults["application_name"] = "graphwarden"
		defaults["statement_timeout"] = timeLimit
		defaults["lock_timeout"] = timeLimit
		defaults["idle_in_transaction_session_timeout"] = timeLimit
	}
	return source.Driver(defaults)
}
