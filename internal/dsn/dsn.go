package dsn

import (
	"errors"
	"net/url"
	"strings"
)

// Source is the parsed value of --database.
type Source struct {
	// Path is the file of an SQLite database; empty for Postgres.
	Path string
	// Pooler means that the URL requests the mode for a transaction pooler.
	Pooler bool
	// Ignored lists the parameters without an effect, sorted.
	Ignored []string

	user   *url.Userinfo
	name   string // of the Postgres database
	params url.Values
}

// Parse parses the value of --database. It trims line breaks, because values read from a file end in one.
func Parse(text string) (*Source, error) {
	text = strings.Trim(text, "\r\n")
	if rest, ok := strings.CutPrefix(text, "sqlite:"); ok {
		return parseSQLite(rest)
	}
	scheme, rest, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return nil, errors.New("--database must start with sqlite: or postgres://")
	}
	return parsePostgres(rest)
}

// parseSQLite takes the text as a path, special characters included. It refuses sqlite://data.db, which other tools
// interpret differently.
func parseSQLite(path string) (*Source, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return nil, errors.New("--database sqlite:// names a host: " +
				"write sqlite:PATH for a relative path, sqlite:///PATH for an absolute one")
		}
		path = "/" + strings.TrimLeft(rest, "/")
	}
	if path == "" || path == "/" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, errors.New("--database sqlite: needs the path of a file, such as sqlite:data/graphwarden.db")
	}
	return &Source{Path: path}, nil
}
