package userfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

var (
	errNotObject = errors.New("this is not a JSON object")
	errNotArray  = errors.New("users is not an array")
)

// jsonFile reads a sequence of objects, an array, or an object whose member users is an array, as in exports of
// Firebase and Keycloak. It reads token by token, so that its memory does not depend on the size of the file.
type jsonFile struct {
	tokens  *json.Decoder
	lines   *lineCounter
	depth   int  // number of open arrays and objects
	wrapped bool // the array is in an object
}

func readJSON(r io.Reader) func() (*record, error) {
	lines := &lineCounter{r: r, line: 1}
	f := &jsonFile{tokens: json.NewDecoder(lines), lines: lines}
	f.tokens.UseNumber()
	return func() (*record, error) {
		rec, err := f.read()
		if errors.Is(err, io.EOF) && f.depth > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d is not JSON: %w", lines.at(f.tokens.InputOffset()), err)
		}
		return rec, err
	}
}

func (f *jsonFile) token() (json.Token, error) {
	token, err := f.tokens.Token()
	switch token {
	case json.Delim('{'), json.Delim('['):
		f.depth++
	case json.Delim('}'), json.Delim(']'):
		f.depth--
	}
	return token, err
}

func (f *jsonFile) read() (*record, error) {
	for {
		start, err := f.token()
		if err != nil {
			return nil, err
		}
		line := f.lines.at(f.tokens.InputOffset())
		switch start {
		case json.Delim('{'):
			rec, err := f.object(line)
			if rec != nil || err != nil {
				return rec, err
			}
		case json.Delim('['): // entries follow
		case json.Delim(']'):
			if !f.wrapped || f.depth > 1 {
				continue
			}
			if _, err := f.object(line); err != nil { // the rest of the wrapper
				return nil, err
			}
			f.wrapped = false
		default:
			return &record{line: line, problem: errNotObject}, nil
		}
	}
}

// object reads the rest of an object. It returns no record if the object is the wrapper of the array users.
func (f *jsonFile) object(line int) (*record, error) {
	rec := &record{line: line}
	for f.tokens.More() {
		name, err := f.token()
		if err != nil {
			return nil, err
		}
		if name == "users" && f.depth == 1 && !f.wrapped {
			f.wrapped = true
			return nil, f.enterArray()
		}
		one := field{name: name.(string)} // the decoder returns only strings here
		if err := f.tokens.Decode(&one.value); err != nil {
			return nil, err
		}
		rec.fields = append(rec.fields, one)
	}
	_, err := f.token() // the closing brace
	return rec, err
}

func (f *jsonFile) enterArray() error {
	start, err := f.token()
	if err == nil && start != json.Delim('[') {
		return errNotArray
	}
	return err
}

// lineCounter converts offsets to line numbers.
type lineCounter struct {
	r      io.Reader
	offset int64
	breaks []int64 // offsets of the line breaks after the last call of at
	line   int
}

func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			c.breaks = append(c.breaks, c.offset+int64(i))
		}
	}
	c.offset += int64(n)
	return n, err
}

// at returns the line of an offset. Offsets must not decrease from call to call.
func (c *lineCounter) at(offset int64) int {
	for len(c.breaks) > 0 && c.breaks[0] < offset {
		c.breaks = c.breaks[1:]
		c.line++
	}
	return c.line
}
