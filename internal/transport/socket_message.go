package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/graphwarden/graphwarden/internal/web"
)

// maxOperationID bounds an operation's id, which each of its messages repeats, in bytes.
const maxOperationID = 256

// message is a client's message in the protocol graphql-transport-ws.
type message struct {
	kind string
	// id is not empty in subscribe and complete, and not used in others.
	id string
	// payload is a JSON object or nil. In subscribe it is not nil.
	payload json.RawMessage
}

// parseMessage parses a client's message. Anything else is malformed, including messages that only a server may send.
// Unknown members are skipped. Names must match exactly, unlike in encoding/json's structs.
func parseMessage(data []byte) (m message, ok bool) {
	var members map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &members) != nil {
		return message{}, false
	}
	if json.Unmarshal(members["type"], &m.kind) != nil {
		return message{}, false
	}
	switch m.kind {
	case "connection_init", "ping", "pong":
	case "subscribe", "complete":
		if json.Unmarshal(members["id"], &m.id) != nil || m.id == "" || len(m.id) > maxOperationID {
			return message{}, false
		}
	default:
		return message{}, false
	}
	switch payload := members["payload"]; {
	case m.kind == "complete":
	case len(payload) > 0 && payload[0] == '{':
		m.payload = payload
	case m.kind == "subscribe", len(payload) > 0 && !bytes.Equal(payload, []byte("null")):
		return message{}, false
	}
	return m, true
}

// tokenNames are the members of connection_init's payload in which clients send a token.
var tokenNames = [...]string{"Authorization", "authorization", "authToken", "accessToken", "token"}

// initToken returns the access token in the payload of connection_init: one of tokenNames, or the same in the member
// headers, in which some clients send all their headers. It is "" without a token. ok is false if the member is not a
// string.
func initToken(payload json.RawMessage) (token string, ok bool) {
	if payload == nil {
		return "", true
	}
	var members, headers map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return "", false
	}
	_ = json.Unmarshal(members["headers"], &headers) // optional, and of any type
	for _, source := range []map[string]json.RawMessage{members, headers} {
		for _, name := range tokenNames {
			if source[name] == nil {
				continue
			}
			if json.Unmarshal(source[name], &token) != nil {
				return "", false
			}
			token = bare(token)
			if token != "" {
				return token, true
			}
		}
	}
	return "", true
}

// bare returns a token without the scheme Bearer, which only some clients send with it.
func bare(credentials string) string {
	token, _ := web.CutBearer(strings.TrimSpace(credentials))
	return strings.TrimSpace(token)
}

// headerToken returns the bearer token of the Authorization header, or "". An unusable header was already judged where
// the caller was put into the request's context.
func headerToken(h http.Header) string {
	token, err := web.Bearer(h)
	if err != nil {
		return ""
	}
	return token
}
