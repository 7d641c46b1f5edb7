package coercion

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// CheckEscapes refuses a document with a string literal that holds half of a surrogate pair: two escapes of four digits
// are one character beyond U+FFFF, and one of them alone is none (GraphQL specification, section 2.9.4). gqlparser reads
// it as U+FFFD, which would change data silently. In block strings and comments a backslash is only a backslash.
func CheckEscapes(document string) *gqlerror.Error {
	at := halfPair(document)
	if at < 0 {
		return nil
	}
	f := fault.New(fault.ParseFailed, "", "half of a surrogate pair is not a character")
	before := strings.ReplaceAll(strings.ReplaceAll(document[:at], "\r\n", "\n"), "\r", "\n")
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &gqlerror.Error{Err: f, Message: f.Message, Locations: []gqlerror.Location{
		{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(line) + 1},
	}}
}

// halfPair returns where in a document such an escape stands, -1 if there is none.
func halfPair(document string) int {
	if !strings.Contains(document, `\u`) {
		return -1
	}
	for i := 0; i < len(document); {
		switch {
		case document[i] == '#':
			i += strings.IndexAny(document[i:]+"\n", "\r\n")
		case strings.HasPrefix(document[i:], `"""`):
			i = blockEnd(document, i+3)
		case document[i] == '"':
			end := stringEnd(document, i+1)
			if at := HalfPair(document[i:end]); at >= 0 {
				return i + at
			}
			i = end
		default:
			i++
		}
	}
	return -1
}

// stringEnd returns the end of a string literal that goes on at i.
func stringEnd(document string, i int) int {
	for i < len(document) {
		switch document[i] {
		case '"', '\n', '\r':
			return i + 1
		case '\\':
			i++
		}
		i++
	}
	return len(document)
}

// blockEnd returns the end of a block string that goes on at i. The last three of several quotes close it.
func blockEnd(document string, i int) int {
	for i < len(document) {
		rest := document[i:]
		quotes := len(rest) - len(strings.TrimLeft(rest, `"`))
		switch {
		case quotes >= 3:
			return i + quotes
		case strings.HasPrefix(rest, `\"""`):
			i += 4
		default:
			i += max(quotes, 1)
		}
	}
	return len(document)
}

// HalfPair returns where in text an escape of the form \uXXXX is half of a surrogate pair, -1 if none is. The text is
// JSON, or a string literal of GraphQL.
func HalfPair(text string) int {
	for i := 0; ; {
		next := strings.IndexByte(text[i:], '\\')
		if next < 0 {
			return -1
		}
		i += next
		switch half := surrogate(text[i:]); {
		case half == low, half == high && surrogate(text[i+6:]) != low:
			return i
		case half == high:
			i += 12
		default:
			i = min(i+2, len(text))
		}
	}
}

const (
	high = 0xd800 // the first of a pair
	low  = 0xdc00
)

// surrogate returns which half of a pair the escape that text begins with is, 0 if it is neither.
func surrogate(text string) uint64 {
	if len(text) < 6 || !strings.HasPrefix(text, `\u`) {
		return 0
	}
	unit, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil || unit < high || unit > 0xdfff {
		return 0
	}
	return unit &^ 0x3ff
}
