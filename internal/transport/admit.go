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
	// firstRead is the size of the first buffer for a body of unknown length, and smallRead the maximum size of a first
	// buffer.
	firstRead, smallRead = 512, 4 << 10
)

// readAll reads r to its end. It claims memory as bytes arrive, so that a slow sender holds no more than it has sent.
// expected is the number of bytes to come, or negative.
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

// overloaded returns the refusal of a claim that failed with err, or nil without an error.
func overloaded(err error) *refusal {
	if err == nil {
		return nil
	}
	return &refusal{fault: fault.Of(err)}
}

// jsonBounds are the maximum number of values in a JSON text and their maximum nesting.
type jsonBounds struct{ values, depth int }

// admit refuses a text beyond the bounds, and claims the memory for decoding it. Both happen before decoding, because
// decoded JSON is up to 70 times as large as its text.
func (b jsonBounds) admit(text []byte, claim *memory.Claim) *refusal {
	values, depth := measureJSON(text)
	if depth > b.depth {
		return malformed(fmt.Sprintf("lists and objects of a request may nest at most %d deep", b.depth))
	}
	if values > b.values {
		message := fmt.Sprintf("a request may have at most %d values", b.values)
		return refuse(http.StatusRequestEntityTooLarge, fault.BodyTooLarge, message)
	}
	return overloaded(claim.Grow(memory.Decoding(len(text), values)))
}

// measureJSON returns an upper bound of the number of values in a JSON text, which counts an empty list or object
// twice, and their nesting. Text that is not JSON has a measure too.
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
