package web

import (
	"cmp"
	"errors"
	"math"
	"mime"
	"strconv"
	"strings"
)

const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
)

// offer is one of the two media types in a negotiation: the weight that the most specific matching
// range of Accept gives it (RFC 9110 section 12.5.1).
type offer struct {
	media   string
	rank    int // of the range: 1 for */*, 2 for application/*, 3 when named
	quality float64
}

const named = 3

func (o *offer) consider(mediaRange string, quality float64) {
	rank := 0
	switch mediaRange {
	case o.media:
		rank = named
	case "application/*":
		rank = 2
	case "*/*":
		rank = 1
	}
	if rank > o.rank || rank > 0 && rank == o.rank && quality > o.quality {
		o.rank, o.quality = rank, quality
	}
}

// negotiate picks the media type of the answer from the values of Accept. Without a wish, or with
// wildcards only, it is application/json, which the specification keeps for old clients; a client
// that names application/graphql-response+json gets it unless it prefers the other. When neither is
// acceptable the refusal itself is application/json.
func negotiate(accept []string) (media string, acceptable bool) {
	if strings.TrimSpace(strings.Join(accept, "")) == "" {
		return mediaJSON, true
	}
	plain, modern := offer{media: mediaJSON}, offer{media: mediaResponse}
	for _, r := range parseAccept(accept) {
		plain.consider(r.media, r.quality)
		modern.consider(r.media, r.quality)
	}
	switch {
	case plain.quality == 0 && modern.quality == 0:
		return mediaJSON, false
	case modern.quality > plain.quality, modern.quality == plain.quality && modern.rank == named:
		return mediaResponse, true
	}
	return mediaJSON, true
}

// mediaRange is one element of Accept.
type mediaRange struct {
	media   string
	params  map[string]string
	quality float64
}

// parseAccept reads the elements of Accept in their order. Elements that are malformed, have a malformed weight, or want
// another charset than UTF-8 are skipped. Other malformed parameters are ignored, and a weight above 1 is 1.
func parseAccept(accept []string) (ranges []mediaRange) {
	for _, element := range splitList(strings.Join(accept, ",")) {
		media, params, err := mime.ParseMediaType(element)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || !isUTF8(params["charset"]) {
			continue
		}
		quality, err := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64)
		if err != nil || math.IsNaN(quality) || quality < 0 {
			continue
		}
		ranges = append(ranges, mediaRange{media, params, min(quality, 1)})
	}
	return ranges
}

// preferred returns the element of Accept with the greatest weight, of equal ones the first.
func preferred(accept []string) (best mediaRange) {
	for _, r := range parseAccept(accept) {
		if r.quality > best.quality {
			best = r
		}
	}
	return best
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
