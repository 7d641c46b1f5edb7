package transport

import (
	"slices"
	"strings"

	"github.com/graphwarden/graphwarden/internal/web"
)

const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
)

// offer is one of the two media types in a negotiation, with the weight of the most specific matching range of Accept
// (RFC 9110 section 12.5.1).
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

// negotiate chooses the media type of the answer from the values of Accept. If the header is missing or has wildcards
// only, it is application/json, which the specification keeps for old clients. A client that names
// application/graphql-response+json gets it unless it prefers the other. If neither is acceptable, the refusal itself
// is application/json.
func negotiate(accept []string) (media string, ok bool) {
	if strings.TrimSpace(strings.Join(accept, "")) == "" {
		return mediaJSON, true
	}
	plain, modern := offer{media: mediaJSON}, offer{media: mediaResponse}
	for _, p := range acceptable(accept) {
		plain.consider(p.Value, p.Quality)
		modern.consider(p.Value, p.Quality)
	}
	switch {
	case plain.quality == 0 && modern.quality == 0:
		return mediaJSON, false
	case modern.quality > plain.quality, modern.quality == plain.quality && modern.rank == named:
		return mediaResponse, true
	}
	return mediaJSON, true
}

// acceptable parses Accept without the elements that want another charset than UTF-8.
func acceptable(accept []string) []web.Preference {
	return slices.DeleteFunc(web.ParseAccept(accept), func(p web.Preference) bool { return !isUTF8(p.Params["charset"]) })
}

// preferred returns the element of Accept with the greatest weight, the first of equal ones.
func preferred(accept []string) (best web.Preference) {
	for _, p := range acceptable(accept) {
		if p.Quality > best.Quality {
			best = p
		}
	}
	return best
}
