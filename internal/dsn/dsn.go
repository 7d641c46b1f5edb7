package dsn

import (
	"errors"
	"net/url"
	"strings"
)

// Source is a parsed text of --database.
type Source struct {
	// Path is the file of an SQLite database; empty for Postgres.
	Path string
	// Pooler reports that the text asks for the mode for a transaction pooler.
	Pooler bool
	// Ignored names the parameters that have no effect, in alphabetical order.
	Ignored []string

	user   *url.Userinfo
	name   string // of the Postgres database
	params url.Values
}

// Parse reads a text of --database. Line breaks around it are dropped: a secret made from a file ends in one.
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

// parseSQLite takes the text as a path, special characters included. Only the form of a URL is different: other
// tools disagree on what sqlite://data.db names.
func parseSQLite(path string) (*Source, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return nil, errors.New("--database sqlite:// names a host: write sqlite:PATH, or sqlite:///PATH from the root of the file system")
		}
		path = "/" + strings.TrimLeft(rest, "/")
	}
	if path == "" || path == "/" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, errors.New("--database sqlite: needs the path of a file, such as sqlite:data/graphwarden.db")
	}
	return &Source{Path: path}, nil
}
