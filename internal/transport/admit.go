package transport

import (
	"fmt"
	"io"
	"net/http"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

const (
	defaultMaxValues = 20_000
	defaultMaxDepth  = 100
	// firstRead is the size of the first buffer for a body of unknown length, and smallRead the largest first buffer.
	firstRead, smallRead = 512, 4 << 10
)

// readAll reads r to its end. It claims memory as bytes arrive, so that a slow sender holds no more than was sent.
// expected is how many bytes will come, or negative.
func readAll(r io.Reader, expected int64, claim *memory.Claim) ([]byte, error) {
	size := int64(firstRead)
	if expected >= 0 {
		size = min(expected+1, smallRead) // one more to see the end
	}
	if err := claim.Grow(size); err != nil {
		return nil, err
	}
	buffer := make([]byte, 0, size)
	for {
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF {
			return buffer, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buffer) < cap(buffer) {
			continue
		}
		more := int64(cap(buffer))
		if missing := expected + 1 - more; missing > 0 {
			more = min(more, missing)
		}
		if err := claim.Grow(more); err != nil {
			return nil, err
		}
		buffer = append(make([]byte, 0, int64(cap(buffer))+more), buffer...)
	}
}

// overloaded is the refusal of what does not fit into memory, nil without an error.
func overloaded(err error) *refusal {
	if err == nil {
		return nil
	}
	return &refusal{fault: fault.Of(err)}
}

// jsonBounds are the greatest number of values in a JSON text, and how deep they may nest.
type jsonBounds struct{ values, depth int }

// admit refuses a text that is beyond the bounds, and claims the memory that decoding takes. Decoded JSON is up to 70
// times as large as its text, so both happen before.
func (b jsonBounds) admit(text []byte, claim *memory.Claim) *refusal {
	values, depth := measureJSON(text)
	if depth > b.depth {
		return malformed(fmt.Sprintf("lists and objects of a request may nest at most %d deep", b.depth))
	}
	if values > b.values {
		return refuse(http.StatusRequestEntityTooLarge, fault.BodyTooLarge, fmt.Sprintf("a request may have at most %d values", b.values))
	}
	return overloaded(claim.Grow(memory.Decoding(len(text), values)))
}

// measureJSON returns how many values a JSON text has at most, an empty list or object counted twice, and how deep they
// nest. What is not JSON has some measure, too.
func measureJSON(text []byte) (values, depth int) {
	values = 1
	nesting := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			values++
			nesting++
			depth = max(depth, nesting)
		case '}', ']':
			nesting--
		case ',':
			values++
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return values, depth
}
