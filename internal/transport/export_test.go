package transport

import "encoding/json"

// ParseMessage is parseMessage.
func ParseMessage(data []byte) (kind, id string, payload json.RawMessage, ok bool) {
	m, ok := parseMessage(data)
	return m.kind, m.id, m.payload, ok
}

// Envelope encodes a message like the server.
func Envelope(kind, id string, payload []byte) []byte { return envelope(kind, quote(id), payload) }
