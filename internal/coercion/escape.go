package coercion

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// CheckEscapes refuses string literals with an unpaired surrogate escape (GraphQL specification, section 2.9.4).
// gqlparser reads it as U+FFFD, which would silently change data. Block strings and comments have no such escapes.
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

// halfPair returns the offset of the first unpaired surrogate escape in a document, or -1.
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

// stringEnd returns the end of the string literal that contains i.
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

// blockEnd returns the end of the block string that contains i. Of more than three quotes, the last three close it.
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

// HalfPair returns the offset of the first unpaired surrogate escape \uXXXX in text, or -1. The text is JSON or a
// GraphQL string literal.
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
	high = 0xd800 // the first half of a pair
	low  = 0xdc00
)

// surrogate returns high or low if text starts with the escape of a surrogate, else 0.
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
