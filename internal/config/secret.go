package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/graphwarden/graphwarden/internal/dsn"
	"github.com/graphwarden/graphwarden/internal/secret"
)

// Lines are values that may contain commas: each its own flag, or a line of the variable. The type has a name, or
// --help would print the line break after the placeholder.
type Lines []string

// filled returns the values that are not blank: a variable made from a file ends in a line break.
func (l Lines) filled() []string {
	return slices.DeleteFunc(slices.Clone(l), func(line string) bool { return secret.Trim(line) == "" })
}

// Pepper returns the id and key of the current pepper; both are empty without one.
func (t *Tokens) Pepper() (id, key string, err error) {
	if t.PasswordPepper == "" {
		return "", "", nil
	}
	return splitPepper(secret.Trim(t.PasswordPepper))
}

// OldPeppers returns the keys of earlier peppers by their ids.
func (t *Tokens) OldPeppers() (map[string]string, error) {
	return peppers(t.OldPepper.filled(), secret.Trim)
}

// UntrimmedPeppers returns the keys of all peppers as earlier versions read them, with the line break that they may
// end in; nil if that makes no difference.
func (t *Tokens) UntrimmedPeppers() (map[string]string, error) {
	all := t.OldPepper.filled()
	if t.PasswordPepper != "" {
		all = append(all, t.PasswordPepper)
	}
	if !slices.ContainsFunc(all, func(one string) bool { return secret.Trim(one) != one }) {
		return nil, nil
	}
	return peppers(all, func(one string) string { return strings.TrimLeftFunc(one, unicode.IsSpace) })
}

func peppers(all []string, trim func(string) string) (map[string]string, error) {
	keys := make(map[string]string, len(all))
	for _, one := range all {
		id, key, err := splitPepper(trim(one))
		if err != nil {
			return nil, err
		}
		keys[id] = key
	}
	return keys, nil
}

var pepperID = regexp.MustCompile("^[A-Za-z0-9]+$")

func splitPepper(s string) (id, key string, err error) {
	id, key, _ = strings.Cut(s, ":")
	if !pepperID.MatchString(id) || len(key) < secret.MinLength {
		return "", "", errors.New("not ID:TEXT")
	}
	return id, key, nil
}

// LoadSecret returns the secret of the deployment. If none is given, which only SQLite allows, it is in a file beside
// the database that only its owner may read. For a fresh database, in which nothing is sealed yet, LoadSecret makes
// that file; its folder must exist.
func (s *Storage) LoadSecret(fresh bool) (*secret.Secret, error) {
	current := s.Secret
	if current == "" {
		var err error
		if current, err = secretFile(s.SecretFile(), fresh); err != nil {
			return nil, err
		}
	}
	return secret.New(current, s.AcceptSecret.filled()...)
}

// SecretFile is the path of the secret if none is given.
func (s *Storage) SecretFile() string { return s.SQLitePath() + ".secret" }

// SQLitePath is the path of an SQLite database, else empty.
func (s *Storage) SQLitePath() string {
	source, err := dsn.Parse(s.Database)
	if err != nil {
		return ""
	}
	return source.Path
}

func secretFile(path string, fresh bool) (string, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) && !fresh {
		return "", fmt.Errorf("the secret of this database is gone: %w; put the file back, or give its text with --secret",
			err)
	}
	if os.IsNotExist(err) {
		if err := secret.WriteFile(path); err != nil {
			return "", fmt.Errorf("cannot write the secret: %w; make its folder writable, or give --secret", err)
		}
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w; make it readable for this user, or give --secret", err)
	}
	text := secret.Trim(string(b))
	if len(text) < secret.MinLength {
		return "", fmt.Errorf("%s is too short to be a secret; put back the file as it was, or give its text with --secret",
			path)
	}
	return text, nil
}
