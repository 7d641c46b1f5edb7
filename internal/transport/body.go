package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// readBody reads the body of a POST.
func (t HTTP) readBody(w http.ResponseWriter, r *http.Request, claim *memory.Claim) ([]byte, *refusal) {
	if !isJSON(r.Header.Values("Content-Type")) {
		return nil, refuse(http.StatusUnsupportedMediaType, fault.UnsupportedMediaType,
			"a POST needs Content-Type: application/json, in UTF-8")
	}
	// Compressed bodies are refused, so that no small body grows beyond MaxBody.
	coding := strings.Join(r.Header.Values("Content-Encoding"), ",")
	if coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, fault.UnsupportedMediaType, "a compressed body is not supported")
	}
	limit := t.MaxBody
	if limit <= 0 {
		limit = defaultMaxBody
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), min(r.ContentLength, limit), claim)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refuse(http.StatusRequestEntityTooLarge, fault.BodyTooLarge, "the body is too large")
	}
	if fault.As(err) != nil {
		return nil, overloaded(err)
	}
	if err != nil {
		return nil, malformed("the body could not be read to its end")
	}
	return body, nil
}

// isJSON reports whether the only Content-Type is application/json in UTF-8. No other type will do: browsers send every
// other type that could carry JSON across sites without a preflight.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	if contentType[0] == mediaJSON {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	wellFormed := err == nil || errors.Is(err, mime.ErrInvalidMediaParameter) // malformed parameters are ignored
	return wellFormed && media == mediaJSON && isUTF8(params["charset"])
}

// isUTF8 reports whether a charset parameter, "" if missing, is UTF-8 (RFC 8259 section 8.1).
func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// parameters are the known members of a request. The specification reserves all others, which are skipped.
var parameters = [...]string{"query", "documentId", "operationName", "variables", "extensions"}

// operationParams are the parameters of one operation in JSON. graphql.RawParams would let a body set its member
// headers.
type operationParams struct {
	Query, DocumentID, OperationName string
	Variables, Extensions            map[string]any
}

// persistedQuery is the extension by which Apollo's clients name a document.
const persistedQuery = "persistedQuery"

// fill copies o to params. A documentId, from the GraphQL-over-HTTP draft, becomes the extension persistedQuery.
func (o *operationParams) fill(params *graphql.RawParams) *refusal {
	params.Query, params.OperationName = o.Query, o.OperationName
	params.Variables, params.Extensions = o.Variables, o.Extensions
	if o.DocumentID == "" {
		return nil
	}
	if o.Extensions[persistedQuery] != nil {
		return malformed("give documentId or extensions.persistedQuery, not both")
	}
	params.Extensions = maps.Clone(o.Extensions)
	if params.Extensions == nil {
		params.Extensions = map[string]any{}
	}
	params.Extensions[persistedQuery] = map[string]any{"version": 1, "sha256Hash": o.DocumentID}
	return nil
}

// parseBody fills params from a body that must be exactly one JSON object. It drops the decoder's errors instead of
// wrapping them: they quote the body, which holds passwords, and would carry it into the log.
func parseBody(body []byte, params *graphql.RawParams) *refusal {
	if !utf8.Valid(body) {
		return malformed("the body must be UTF-8")
	}
	if !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return malformed("the body must be one JSON object")
	}
	values, ambiguous := members(body)
	var in operationParams
	texts := [...]*string{&in.Query, &in.DocumentID, &in.OperationName}
	for i, into := range texts {
		switch value := values[i]; {
		case len(value) > 0 && value[0] == '"':
			*into = unquote(value)
		case len(value) > 0 && value[0] != 'n': // null
			return malformed(parameters[i] + " has the wrong type")
		}
	}
	for i, into := range [...]*map[string]any{&in.Variables, &in.Extensions} {
		i += len(texts)
		if values[i] != nil && decode(bytes.NewReader(values[i]), into) != nil {
			return malformed(parameters[i] + " has the wrong type")
		}
	}
	if bytes.Contains(body, []byte(`\u`)) && coercion.HalfPair(string(body)) >= 0 {
		// encoding/json would read it as U+FFFD
		return malformed("the body holds half of a surrogate pair, which is not a character")
	}
	if ambiguous != "" {
		return malformed(ambiguous + " must be given once, in this spelling")
	}
	return in.fill(params)
}

var errTrailing = errors.New("more than one JSON value")

// decode decodes the only JSON value in r.
func decode(r io.Reader, into any) error {
	dec := json.NewDecoder(r)
	dec.UseNumber() // a float64 cannot hold every 64-bit integer
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// members returns the values of parameters in a valid JSON object, and the name of a parameter that it has twice or in
// another spelling. encoding/json reads "QUERY" as "query" and keeps the last duplicate: a proxy or a log that judged
// the request may have read another operation than the one executed.
func members(object []byte) (values [len(parameters)][]byte, ambiguous string) {
	depth, atName, of, begin := 0, false, -1, 0
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '{', '[':
			depth++
			atName = depth == 1
		case ':':
			if depth == 1 {
				begin = i + 1
			}
		case '}', ']', ',':
			if depth == 1 && of >= 0 {
				values[of], of = bytes.TrimSpace(object[begin:i]), -1
			}
			atName = depth == 1
			if object[i] != ',' {
				depth--
			}
		case '"':
			first := i
			for i++; object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			if !atName {
				continue
			}
			atName = false
			name := unquote(object[first : i+1])
			of = slices.IndexFunc(parameters[:], func(p string) bool { return strings.EqualFold(name, p) })
			if of >= 0 && (values[of] != nil || name != parameters[of]) {
				ambiguous = parameters[of]
			}
		}
	}
	return values, ambiguous
}

func unquote(quoted []byte) string {
	if !bytes.ContainsRune(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // valid: the whole object was decoded
	return s
}

// parseURL fills params from the query string of a GET, as strictly as parseBody.
func (t HTTP) parseURL(rawQuery string, params *graphql.RawParams, claim *memory.Claim) *refusal {
	if err := claim.Grow(memory.Decoding(len(rawQuery), strings.Count(rawQuery, "&"))); err != nil {
		return overloaded(err)
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return malformed("the query string is malformed")
	}
	for _, name := range parameters {
		if len(values[name]) > 1 {
			return malformed(name + " must be given once")
		}
		if !utf8.ValidString(values.Get(name)) {
			return malformed("the query string must be UTF-8")
		}
	}
	in := operationParams{
		Query: values.Get("query"), DocumentID: values.Get("documentId"), OperationName: values.Get("operationName"),
	}
	for name, into := range map[string]*map[string]any{"variables": &in.Variables, "extensions": &in.Extensions} {
		text := values.Get(name)
		if refused := t.bounds().admit([]byte(text), claim); refused != nil {
			return refused
		}
		if text != "" && decode(strings.NewReader(text), into) != nil {
			return malformed(name + " must be a JSON object")
		}
		if coercion.HalfPair(text) >= 0 {
			return malformed(name + " holds half of a surrogate pair, which is not a character")
		}
	}
	return in.fill(params)
}
