package userfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/graphwarden/graphwarden/internal/token"
)

// User is an account of a file. Fields that are missing in the file are zero.
type User struct {
	ID            string // a UUID in lower case
	Email         string
	EmailVerified bool
	Username      string
	Name          string
	Locale        string // any text
	PasswordHash  string
	Roles         []token.Role
	Disabled      bool
	CreatedAt     time.Time
}

// Entry is one account of a file. If Problem is set, the account cannot be imported.
type Entry struct {
	Line int // the first line of the entry
	User
	Problem error

	given, family string // parts of the name
	salt          string
}

// Options configure a Reader.
type Options struct {
	// Ignore lists the names of fields to skip.
	Ignore []string
	// Firebase is required for the hashes of an export from Firebase.
	Firebase *Firebase
	// Now is the current time. Read refuses accounts created in the future; if Now is zero, it accepts all.
	Now time.Time
}

// Reader reads the entries of a file.
type Reader struct {
	in      *bufio.Reader
	options Options
	ignored []string // folded
	next    func() (*record, error)
}

// record is an entry with uninterpreted fields.
type record struct {
	line    int
	fields  []field
	problem error
}

type field struct {
	name  string
	value any
}

// NewReader returns a Reader for r. It does not read from r.
func NewReader(r io.Reader, o Options) *Reader {
	in := bufio.NewReader(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	reader := &Reader{in: in, options: o}
	for _, name := range o.Ignore {
		reader.ignored = append(reader.ignored, fold(name))
	}
	return reader
}

// Read returns the next entry, or io.EOF after the last. Any other error is permanent.
func (r *Reader) Read() (*Entry, error) {
	if r.next == nil {
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	rec, err := r.next()
	if err != nil {
		return nil, err
	}
	e := &Entry{Line: rec.line, Problem: rec.problem}
	for _, f := range rec.fields {
		if r.ignores(f.name) {
			continue
		}
		if err := e.set(f.name, f.value); err != nil && e.Problem == nil {
			e.Problem = fmt.Errorf("%s: %w", Printable(f.name), err)
		}
	}
	if e.Problem == nil {
		e.Problem = e.finish(r.options)
	}
	return e, nil
}

func (r *Reader) ignores(name string) bool { return slices.Contains(r.ignored, fold(name)) }

// open detects the format by the first character that is not white space: { or [ starts JSON.
func (r *Reader) open() error {
	for n := 1; ; n++ {
		start, err := r.in.Peek(n)
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return fmt.Errorf("read the accounts: %w", err)
		}
		switch start[n-1] {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			r.next = readJSON(r.in)
			return nil
		default:
			r.next, err = r.readCSV()
			return err
		}
	}
}
