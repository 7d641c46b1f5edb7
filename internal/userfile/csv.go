package userfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// cell is a CSV value, which has no type.
type cell string

// readCSV reads the header row, and returns a function that reads the next entry. It refuses files with an unknown
// column, because that is a problem of every entry.
func (r *Reader) readCSV() (func() (*record, error), error) {
	file := csv.NewReader(r.in)
	file.Comma = delimiter(r.firstLine())
	header, err := file.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header row: %w", err)
	}
	if err := r.checkHeader(header); err != nil {
		return nil, err
	}
	return func() (*record, error) {
		cells, err := file.Read()
		if malformed, ok := errors.AsType[*csv.ParseError](err); ok {
			return &record{line: malformed.StartLine, problem: malformed.Err}, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := file.FieldPos(0)
		rec := &record{line: line}
		for i, text := range cells {
			rec.fields = append(rec.fields, field{header[i], cell(text)})
		}
		return rec, nil
	}, nil
}

// checkHeader checks the names of the columns. Without a column for addresses, its error names no column, because the
// row may be an entry with a password hash.
func (r *Reader) checkHeader(header []string) error {
	var unknown []string
	email := false
	for _, name := range header {
		email = email || canonical(name) == fieldEmail
		if canonical(name) == "" && !r.ignores(name) {
			unknown = append(unknown, Printable(name))
		}
	}
	if !email {
		return errors.New("the file is neither JSON nor CSV with a header row that names a column email")
	}
	if unknown != nil {
		list := strings.Join(unknown, ", ")
		return fmt.Errorf("unknown columns %s: rename them, or skip them with --ignore", list)
	}
	return nil
}

// firstLine returns the header row, up to the size of the buffer, without consuming it.
func (r *Reader) firstLine() string {
	start, _ := r.in.Peek(r.in.Size()) // fewer bytes if the file is shorter
	line, _, _ := strings.Cut(strings.TrimLeft(string(start), "\r\n"), "\n")
	return line
}

// delimiter returns the most frequent delimiter. In countries with decimal commas, spreadsheets write semicolons.
func delimiter(header string) rune {
	most := ','
	for _, r := range ";\t|" {
		if strings.Count(header, string(r)) > strings.Count(header, string(most)) {
			most = r
		}
	}
	return most
}
