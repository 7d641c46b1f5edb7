package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// refusedSetting finds the name of a parameter or variable in a driver error, which may contain its value too.
var refusedSetting = regexp.MustCompile(`(?:wrong value for|environment variable) "?(\$?\w+)`)

// unusable explains why the driver refuses the settings, without their values.
func unusable(err error) error {
	if found := refusedSetting.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Errorf("--database is not usable: the driver refuses the value of %s", found[1])
	}
	return errors.New("--database is not a usable postgres:// URL: check its host, port and options")
}

// unreachable explains why the first connection failed, and what to do.
func unreachable(err error, source *dsn.Source, pooler bool) error {
	remedy := "check that it runs, and the user, password, database name and sslmode in --database"
	switch code := postgresCode(err); {
	case code == "08P01" && strings.Contains(err.Error(), "startup parameter") && !pooler:
		remedy = "a pooler is in between: set --database-pooler"
	case code == "08P01" && strings.Contains(err.Error(), "startup parameter"):
		remedy = "take that parameter out of --database, since the pooler refuses it"
	case code == "42704" && source.HasPasswordParameter():
		return fmt.Errorf("the Postgres at %s does not know a parameter in --database: "+
			"remove it, and percent-encode the password", source.Host())
	case code == "42704":
		remedy = "take that parameter out of --database"
	case code == "3D000":
		remedy = "make it with CREATE DATABASE, or name another in --database"
	}
	return fmt.Errorf("cannot reach Postgres at %s: %w; %s", source.Host(), err, remedy)
}

func postgresCode(err error) string {
	e, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return ""
	}
	return string(e.Code)
}

// fit rejects a database that would fail later, in the middle of a request.
func (db *DB) fit(ctx context.Context) error {
	var found struct {
		Encoding string `db:"encoding"`
		Schema   string `db:"schema"`
		Path     string `db:"path"`
		Role     string `db:"role"`
		Name     string `db:"name"`
	}
	err := db.read.db.GetContext(ctx, &found, `SELECT current_setting('server_encoding') AS encoding,
		COALESCE(current_schema(), '') AS schema, current_setting('search_path') AS path,
		CAST(current_user AS TEXT) AS role, CAST(current_database() AS TEXT) AS name`)
	if isMissing(err) {
		return nil // a compatible engine without these functions
	}
	if err != nil {
		return err
	}
	var problems []error
	if found.Encoding != "UTF8" {
		problems = append(problems, fmt.Errorf("the database %s is encoded in %s: create one with "+
			"CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0, and name it in --database",
			found.Name, found.Encoding))
	}
	if found.Schema == "" {
		problems = append(problems, fmt.Errorf("the search_path %s has no schema that exists and that the role %s may use: "+
			"run CREATE SCHEMA AUTHORIZATION %s, or name another schema with the parameter search_path in --database",
			found.Path, found.Role, identifier(found.Role)))
	}
	if !db.pooler {
		shared, err := sharesSessions(ctx, db.read.db)
		if err != nil {
			return err
		}
		if shared {
			problems = append(problems, errors.New("a transaction pooler is in between: "+
				"set --database-pooler, or name Postgres itself in --database"))
		}
	}
	return errors.Join(problems...)
}

// sharesSessions reports whether a transaction pooler shares database sessions between connections. It makes a setting
// on one connection: with a pooler, another connection sees it, or the first one loses it while the other holds its
// session.
func sharesSessions(ctx context.Context, db *sqlx.DB) (bool, error) {
	const look = "SELECT COALESCE(current_setting('graphwarden.session', true), '')"
	mark := rand.Text()
	first, err := db.Connx(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = first.Close() }()
	var seen string
	err = first.GetContext(ctx, &seen, "SELECT set_config('graphwarden.session', '"+mark+"', false)")
	if isMissing(err) {
		return false, nil // an engine without custom settings, for which no pooler is known
	}
	if err != nil {
		return false, err
	}
	other, err := db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer func() { _ = other.Rollback() }()
	if err := other.GetContext(ctx, &seen, look); err != nil || seen == mark {
		return seen == mark, err
	}
	err = first.GetContext(ctx, &seen, look)
	return seen != mark, err
}

// mayCreate returns an error that says what to do if the role may not create tables: since Postgres 15, only the owner
// of the database may, in the schema public.
func (db *DB) mayCreate(ctx context.Context) error {
	var found struct {
		May    bool   `db:"may"`
		Schema string `db:"schema"`
		Role   string `db:"role"`
	}
	err := db.read.db.GetContext(ctx, &found, `SELECT has_schema_privilege(current_schema(), 'CREATE') AS may,
		CAST(current_schema() AS TEXT) AS schema, CAST(current_user AS TEXT) AS role`)
	if err != nil || found.May {
		return err
	}
	return fmt.Errorf("the role %s may not create tables in the schema %s: as the owner of the database, and in it, "+
		"run GRANT CREATE ON SCHEMA %s TO %s",
		found.Role, found.Schema, identifier(found.Schema), identifier(found.Role))
}

// explainRights adds what to do if err means that the role lacks a right on a table.
func explainRights(err error) error {
	if postgresCode(err) != "42501" {
		return err
	}
	return fmt.Errorf("%w: connect as the role that created the tables, or have it run "+
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA name TO role", err)
}

var plainIdentifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// identifier quotes a name for SQL if necessary.
func identifier(name string) string {
	if plainIdentifier.MatchString(name) {
		return name
	}
	return pq.QuoteIdentifier(name)
}
