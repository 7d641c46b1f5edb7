package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// maxIdleTime is how long a connection stays open that nothing uses.
const maxIdleTime = 5 * time.Minute

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	dsn, host, err := postgresDSN(o)
	if err != nil {
		return nil, err
	}
	connector, err := newPostgresConnector(dsn)
	if err != nil {
		return nil, errors.New("--database is not a usable postgres:// URL: check its host, port and options")
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
		return nil, fmt.Errorf("cannot reach Postgres at %s: %w; check that it runs, and the user, password, database name and sslmode in --database", host, err)
	}
	p := &pool{db: db, prepares: !o.Pooler}
	opened := &DB{dialect: Postgres, pooler: o.Pooler, connector: connector, read: p, write: p,
		apart: sqlx.NewDb(sql.OpenDB(connector), "postgres")}
	opened.apart.SetConnMaxIdleTime(maxIdleTime)
	if err := opened.detect(ctx, o, dsn); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("ask Postgres at %s what it can do: %w", host, err)
	}
	return opened, nil
}

// timeLimit is txTimeout as Postgres spells it.
const timeLimit = "8s"

// poolerLimits does for a transaction what the URL does for a session, see postgresDSN.
const poolerLimits = "SET LOCAL statement_timeout = '" + timeLimit + "'; SET LOCAL lock_timeout = '" + timeLimit +
	"'; SET LOCAL idle_in_transaction_session_timeout = '" + timeLimit + "'"

// postgresDSN completes the URL with what must not be left to the server's or the driver's default.
func postgresDSN(o Options) (dsn, host string, err error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return "", "", errors.New("--database is not a URL; percent-encode special characters in its password") // err would repeat the URL
	}
	q := u.Query()
	setDefault := func(name, value string) {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	if u.Hostname() == "" && !q.Has("hostaddr") {
		setDefault("host", "localhost") // or the driver would ask PGHOST, behind the back of what follows
	}
	mode, _ := tlsMode(u)
	q.Set("sslmode", mode)
	setDefault("connect_timeout", "5")
	if o.Pooler {
		// A statement goes out in one piece: between the two that the driver sends else, the pooler could
		// change the session and lose the first.
		setDefault("binary_parameters", "yes")
	} else { // poolers refuse session settings at the start of a connection
		setDefault("application_name", "graphwarden")
		setDefault("statement_timeout", timeLimit)
		setDefault("lock_timeout", timeLimit)
		setDefault("idle_in_transaction_session_timeout", timeLimit)
	}
	u.RawQuery = q.Encode()
	return u.String(), u.Host, nil
}

// PostgresTLS tells by a postgres:// URL how the connection is encrypted, as sslmode spells it, and
// whether it stays on this host, where it need not be. A malformed URL connects to nowhere.
func PostgresTLS(databaseURL string) (mode string, local bool) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", true
	}
	return tlsMode(u)
}

func tlsMode(u *url.URL) (mode string, local bool) {
	q := u.Query()
	// To the driver, a host among the parameters replaces that of the URL, and hostaddr both.
	hosts := []string{u.Hostname()}
	for _, name := range []string{"host", "hostaddr"} {
		if q.Has(name) {
			hosts = strings.Split(q.Get(name), ",")
		}
	}
	local = !slices.ContainsFunc(hosts, func(host string) bool { return !isLocal(host) })
	switch {
	case q.Has("sslmode"):
		mode = q.Get("sslmode")
	case local:
		mode = "disable"
	default:
		mode = "require"
	}
	return mode, local
}

// isLocal knows a path, or a name after @, for a Unix socket.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || host[0] == '/' || host[0] == '@' || ip != nil && ip.IsLoopback()
}
