package userfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// cell is a value of CSV, which has no types.
type cell string

// readCSV reads the header row. It refuses the whole file for an unknown column, because that concerns every entry.
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

// checkHeader prints no name if there is no column for addresses: then the row may be an entry, with its hash.
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
		return fmt.Errorf("there is no place for the columns %s: rename them, or leave them out with --ignore", list)
	}
	return nil
}

// firstLine peeks at the header row, as far as the buffer reaches.
func (r *Reader) firstLine() string {
	start, _ := r.in.Peek(r.in.Size()) // fewer bytes if the file is shorter
	line, _, _ := strings.Cut(strings.TrimLeft(string(start), "\r\n"), "\n")
	return line
}

// delimiter returns the most frequent one. Spreadsheets write semicolons in countries with decimal commas.
func delimiter(header string) rune {
	most := ','
	for _, r := range ";\t|" {
		if strings.Count(header, string(r)) > strings.Count(header, string(most)) {
			most = r
		}
	}
	return most
}
