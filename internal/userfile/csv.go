package userfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// cell is a value of CSV, which says nothing of its type.
type cell string

// readCSV reads the header row, and refuses the file by it: a column in which nothing is understood concerns
// every entry.
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

// checkHeader names no column unless there is one for addresses: without, the row is no header, and can hold hashes.
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

// firstLine looks ahead as far as the buffer reaches.
func (r *Reader) firstLine() string {
	start, _ := r.in.Peek(r.in.Size()) // fewer bytes if the file is shorter
	line, _, _ := strings.Cut(strings.TrimLeft(string(start), "\r\n"), "\n")
	return line
}

// delimiter is the most frequent one: spreadsheets write semicolons where the comma is for decimals.
func delimiter(header string) rune {
	most := ','
	for _, r := range ";\t|" {
		if strings.Count(header, string(r)) > strings.Count(header, string(most)) {
			most = r
		}
	}
	return most
}
