package web

import (
	"mime"
	"regexp"
	"strconv"
	"strings"
)

const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
)

// qvalue is RFC 9110 section 12.4.2.
var qvalue = regexp.MustCompile(`^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$`)

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
	joined := strings.Join(accept, ",")
	if strings.TrimSpace(joined) == "" {
		return mediaJSON, true
	}
	plain, modern := offer{media: mediaJSON}, offer{media: mediaResponse}
	for part := range strings.SplitSeq(joined, ",") {
		mediaRange, quality, ok := parseRange(part)
		if !ok {
			continue
		}
		plain.consider(mediaRange, quality)
		modern.consider(mediaRange, quality)
	}
	switch {
	case plain.quality == 0 && modern.quality == 0:
		return mediaJSON, false
	case modern.quality > plain.quality, modern.quality == plain.quality && modern.rank == named:
		return mediaResponse, true
	}
	return mediaJSON, true
}

// parseRange reads one element of Accept. One that is malformed, or that wants another charset than
// the only one spoken here, counts as not sent.
func parseRange(part string) (mediaRange string, quality float64, ok bool) {
	mediaRange, params, err := mime.ParseMediaType(part)
	if err != nil || !isUTF8(params["charset"]) {
		return "", 0, false
	}
	q, weighted := params["q"]
	if !weighted {
		return mediaRange, 1, true
	}
	if !qvalue.MatchString(q) {
		return "", 0, false
	}
	quality, err = strconv.ParseFloat(q, 64)
	return mediaRange, quality, err == nil
}
