package web

import (
	"cmp"
	"errors"
	"math"
	"mime"
	"strconv"
	"strings"
)

// Preference is one element of Accept or Accept-Encoding (RFC 9110 section 12.5).
type Preference struct {
	// Value is a media range or a content coding, in lower case.
	Value  string
	Params map[string]string
	// Quality is the weight, from 0 (not acceptable) to 1.
	Quality float64
}

// ParseAccept reads the elements of Accept or Accept-Encoding in their order. It skips elements that are malformed or
// have a malformed weight. Other malformed parameters are ignored, and a weight above 1 is 1.
func ParseAccept(values []string) (preferences []Preference) {
	for _, element := range splitList(strings.Join(values, ",")) {
		value, params, err := mime.ParseMediaType(element)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
			continue
		}
		quality, err := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64)
		if err != nil || math.IsNaN(quality) || quality < 0 {
			continue
		}
		preferences = append(preferences, Preference{value, params, min(quality, 1)})
	}
	return preferences
}

// splitList splits a header's list at its commas, but for those in quoted strings (RFC 9110 section 5.6.4).
func splitList(list string) (elements []string) {
	begin, quoted := 0, false
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				elements, begin = append(elements, list[begin:i]), i+1
			}
		}
	}
	return append(elements, list[begin:])
}
