package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// readBody fills params from a POST. The decoder's own errors are dropped, not wrapped: they quote
// the body, which holds passwords, and would carry it into the log.
func (t GraphQL) readBody(w http.ResponseWriter, r *http.Request, params *graphql.RawParams) *refusal {
	if !isJSON(r.Header.Values("Content-Type")) {
		return refuse(http.StatusUnsupportedMediaType, fault.MediaType, "a POST needs Content-Type: application/json, in UTF-8")
	}
	// Nothing is unpacked here, so no small body grows beyond MaxBody.
	if coding := strings.Join(r.Header.Values("Content-Encoding"), ","); coding != "" && !strings.EqualFold(coding, "identity") {
		return refuse(http.StatusUnsupportedMediaType, fault.MediaType, "a compressed body is not supported")
	}
	limit := t.MaxBody
	if limit <= 0 {
		limit = defaultMaxBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(http.StatusRequestEntityTooLarge, fault.BodyTooLarge, "the body is too large")
	}
	if err != nil {
		return malformed("the body could not be read to its end")
	}
	return parseBody(body, params)
}

// isJSON reports whether the one Content-Type is application/json in UTF-8. Nothing else will do: a
// browser sends every other type that could carry JSON across sites without asking.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	return err == nil && media == mediaJSON && isUTF8(params["charset"])
}

// isUTF8 reports whether a charset parameter, "" when it is missing, is UTF-8 (RFC 8259 section 8.1).
func isUTF8(charset string) bool { return charset == "" || strings.EqualFold(charset, "utf-8") }

// parseBody wants exactly one JSON object with each parameter at most once and spelled exactly:
// where encoding/json would take "QUERY" for "query", or the last of two, a proxy or a log that
// judged the request may have read another operation than the one executed.
func parseBody(body []byte, params *graphql.RawParams) *refusal {
	if !utf8.Valid(body) {
		return malformed("the body must be UTF-8")
	}
	broken := malformed("the body must be one JSON object")
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // a float64 cannot hold every 64-bit integer
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return broken
	}
	seen := make(map[string]bool, 4)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return broken
		}
		name, _ := token.(string) // a key: the decoder takes nothing else here
		into, want := target(params, name)
		if want != "" {
			if seen[name] {
				return malformed(name + " is given twice")
			}
			seen[name] = true
		}
		if err := dec.Decode(into); err != nil {
			if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
				return malformed(name + " must be " + want)
			}
			return broken
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return broken
	}
	if _, err := dec.Token(); err != io.EOF {
		return broken
	}
	return nil
}

// target returns where a parameter is decoded to and what it must be. Other names are reserved by
// the specification: they are skipped, and for them want is "".
func target(params *graphql.RawParams, name string) (into any, want string) {
	switch name {
	case "query":
		return &params.Query, "a string"
	case "operationName":
		return &params.OperationName, "a string or null"
	case "variables":
		return &params.Variables, "an object or null"
	case "extensions":
		return &params.Extensions, "an object or null"
	}
	return new(json.RawMessage), ""
}

// parseURL fills params from the query string of a GET, as strictly as parseBody.
func parseURL(rawQuery string, params *graphql.RawParams) *refusal {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return malformed("the query string is malformed")
	}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		given := values[name]
		if len(given) > 1 {
			return malformed(name + " is given twice")
		}
		if len(given) == 0 || given[0] == "" {
			continue
		}
		if !utf8.ValidString(given[0]) {
			return malformed("the query string must be UTF-8")
		}
		into, want := target(params, name)
		if text, ok := into.(*string); ok {
			*text = given[0]
			continue
		}
		dec := json.NewDecoder(strings.NewReader(given[0]))
		dec.UseNumber()
		if err := dec.Decode(into); err != nil {
			return malformed(name + " must be " + want)
		}
		if _, err := dec.Token(); err != io.EOF {
			return malformed(name + " must be " + want)
		}
	}
	return nil
}
