package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/transport"
)

const hello = `{"type":"connection_init"}`

func TestSocketViolationsHaveTheProtocolsCloseCodes(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{MaxBody: 1 << 16})
	silent := `{"type":"subscribe","id":"1","payload":{"query":"subscription{silent}"}}`
	type violation struct {
		frames []string
		code   websocket.StatusCode
		reason string
	}
	malformed := func(afterInit string) violation {
		return violation{[]string{hello, afterInit}, 4400, "Invalid message"}
	}
	for name, want := range map[string]violation{
		"subscribe before init":     {[]string{silent}, 4401, "Unauthorized"},
		"second init":               {[]string{hello, hello}, 4429, "Too many initialisation requests"},
		"not JSON":                  {[]string{`hello`}, 4400, "Invalid message"},
		"not JSON after init":       {[]string{hello, `{`}, 4400, "Invalid message"},
		"trailing data":             {[]string{hello + hello}, 4400, "Invalid message"},
		"not an object":             {[]string{`[]`}, 4400, "Invalid message"},
		"not UTF-8":                 {[]string{"{\"type\":\"ping\",\"x\":\"\xff\"}"}, 4400, "Invalid message"},
		"no type":                   {[]string{`{}`}, 4400, "Invalid message"},
		"type not a string":         {[]string{`{"type":1}`}, 4400, "Invalid message"},
		"type in another spelling":  {[]string{`{"TYPE":"ping"}`}, 4400, "Invalid message"},
		"unknown type":              {[]string{hello, `{"type":"start","id":"1"}`}, 4400, "Invalid message"},
		"a message type of servers": {[]string{hello, `{"type":"next","id":"1","payload":{}}`}, 4400, "Invalid message"},
		"init with a list":          {[]string{`{"type":"connection_init","payload":[]}`}, 4400, "Invalid message"},
		"init with a number as token": {
			[]string{`{"type":"connection_init","payload":{"token":1}}`}, 4400, "Invalid message",
		},
		"ping with a string":            {[]string{`{"type":"ping","payload":"x"}`}, 4400, "Invalid message"},
		"subscribe without id":          malformed(`{"type":"subscribe","payload":{"query":"{who}"}}`),
		"subscribe with an empty id":    malformed(`{"type":"subscribe","id":"","payload":{"query":"{who}"}}`),
		"subscribe with a number as id": malformed(`{"type":"subscribe","id":1,"payload":{"query":"{who}"}}`),
		"subscribe with a huge id": malformed(`{"type":"subscribe","id":"` + strings.Repeat("x", 257) +
			`","payload":{"query":"{who}"}}`),
		"subscribe without payload":     malformed(`{"type":"subscribe","id":"1"}`),
		"subscribe with a null payload": malformed(`{"type":"subscribe","id":"1","payload":null}`),
		"subscribe with a list":         malformed(`{"type":"subscribe","id":"1","payload":[]}`),
		"query not a string":            malformed(`{"type":"subscribe","id":"1","payload":{"query":1}}`),
		"query twice": malformed(
			`{"type":"subscribe","id":"1","payload":{"query":"{who}","query":"{held}"}}`),
		"variables not an object": malformed(
			`{"type":"subscribe","id":"1","payload":{"query":"{who}","variables":[]}}`),
		"complete without id":       {[]string{hello, `{"type":"complete"}`}, 4400, "Invalid message"},
		"id of a running operation": {[]string{hello, silent, silent}, 4409, "Subscriber already exists"},
		"a message above the limit": {
			[]string{hello, `{"type":"ping","x":"` + strings.Repeat("x", 1<<16) + `"}`}, websocket.StatusMessageTooBig, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, url)
			for i, frame := range want.frames {
				c.send(frame)
				if frame == hello && i == 0 {
					c.receives(`{"type":"connection_ack"}`)
				}
			}
			c.closed(want.code, want.reason)
		})
	}
}

func TestBinaryFramesAreMalformed(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	c := dial(t, url)
	if err := c.conn.Write(c.ctx, websocket.MessageBinary, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	c.closed(4400, "Invalid message")
}

func TestUnusualMessagesThatTheProtocolAllows(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	c := dial(t, url)
	c.send(`{"type":"ping","payload":{"a":1}}`)
	c.receives(`{"type":"pong","payload":{"a":1}}`)
	c.send(`{"type":"pong"}`)
	c.send(`{"type":"connection_init","payload":null,"unknown":1}`)
	c.receives(`{"type":"connection_ack"}`)
	c.send(`{"type":"complete","id":"never seen"}`)
	c.send(`{"type":"subscribe","id":"<&\"","payload":{"query":"query A{who} query B{who}","operationName":"B",` +
		`"variables":null,"extensions":{}}}`)
	c.receives(`{"type":"next","id":"\u003c\u0026\"","payload":{"data":{"who":"anonymous"}}}`,
		`{"type":"complete","id":"\u003c\u0026\""}`)
}

func TestOtherSubprotocolsAreRefused(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	for _, offered := range []string{"", "graphql-ws", "soap"} {
		c, resp, err := tryDial(t, http.DefaultClient, url, offered)
		if err != nil {
			t.Fatalf("%q: %v", offered, err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "" {
			t.Errorf("%q was answered with %q", offered, got)
		}
		c.closed(4406, "Subprotocol")
	}
}

func TestPagesOfOtherOriginsCannotConnect(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 101}, // not a browser
		{[]string{"Origin", "https://app.example.com"}, 101},
		{[]string{"Origin", "https://evil.example.com"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", ""}, 403},
		{[]string{"Origin", "https://app.example.com", "Origin", "https://evil.example.com"}, 403},
	} {
		_, resp, err := tryDial(t, http.DefaultClient, url, protocol, c.header...)
		if resp == nil || resp.StatusCode != c.status {
			t.Errorf("%v: %v %v, want %d", c.header, resp, err, c.status)
		}
	}
}

func TestConnectionInitSetsTheCaller(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	for _, c := range []struct {
		name, payload, want string
		header              []string
	}{
		{"nothing", ``, "anonymous", nil},
		{"null", `null`, "anonymous", nil},
		{"Authorization", `{"Authorization":"Bearer ann"}`, "ann", nil},
		{"scheme in lower case", `{"authorization":"bearer ann"}`, "ann", nil},
		{"no scheme", `{"authorization":"ann"}`, "ann", nil},
		{"authToken", `{"authToken":"ann"}`, "ann", nil},
		{"accessToken", `{"accessToken":"Bearer ann"}`, "ann", nil},
		{"token", `{"token":"ann"}`, "ann", nil},
		{"headers", `{"headers":{"Authorization":"Bearer ann"}}`, "ann", nil},
		{"headers in lower case", `{"headers":{"authorization":"Bearer ann"}}`, "ann", nil},
		{"headers not an object", `{"headers":"Bearer ann"}`, "anonymous", nil},
		{"empty", `{"authorization":""}`, "anonymous", nil},
		{"empty after the scheme", `{"authorization":"Bearer "}`, "anonymous", nil},
		{"null token", `{"authorization":null}`, "anonymous", nil},
		{"first non-empty member", `{"authorization":"","token":"ann"}`, "ann", nil},
		{"members before headers", `{"token":"ann","headers":{"Authorization":"Bearer bob"}}`, "ann", nil},
		{"unknown member", `{"jwt":"ann"}`, "anonymous", nil},
		{"header of the upgrade", ``, "ann", []string{"Authorization", "Bearer ann"}},
		{"payload overrides header", `{"token":"bob"}`, "bob", []string{"Authorization", "Bearer ann"}},
		{"empty payload", `{"token":""}`, "ann", []string{"Authorization", "Bearer ann"}},
		{"header of another scheme", ``, "anonymous", []string{"Authorization", "Basic ann"}},
		{"two headers", ``, "anonymous", []string{"Authorization", "Bearer ann", "Authorization", "Bearer bob"}},
		{"cookie", ``, "anonymous", []string{"Cookie", "authorization=ann; token=ann; __Host-graphwarden_refresh=ann"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := dial(t, url, c.header...)
			init := hello
			if c.payload != "" {
				init = fmt.Sprintf(`{"type":"connection_init","payload":%s}`, c.payload)
			}
			s.send(init)
			s.receives(`{"type":"connection_ack"}`)
			s.subscribe("1", "{who}")
			s.receives(fmt.Sprintf(`{"type":"next","id":"1","payload":{"data":{"who":%q}}}`, c.want),
				`{"type":"complete","id":"1"}`)
		})
	}
}

func TestInvalidTokensCloseTheSocketWithTheirReason(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	for token, want := range map[string]websocket.CloseError{
		"not a token": {Code: 4403, Reason: "TOKEN_INVALID"},
		"late":        {Code: 4403, Reason: "TOKEN_EXPIRED"},
		"down":        {Code: websocket.StatusTryAgainLater, Reason: "REVOCATION_VIEW_STALE"},
		"odd":         {Code: websocket.StatusInternalError, Reason: "internal error"},
	} {
		c := dial(t, url)
		c.send(fmt.Sprintf(`{"type":"connection_init","payload":{"token":%q}}`, token))
		c.closed(want.Code, want.Reason)
	}
}

// FuzzSocketMessage checks the guarantees of the parser for every message that it accepts.
func FuzzSocketMessage(f *testing.F) {
	for _, seed := range []string{
		hello, `{"type":"subscribe","id":"1","payload":{"query":"{who}"}}`, `{"id":"1","type":"complete","payload":[]}`,
		`{"type":"ping","payload":null}`, `{"type":"pong","payload":{"a":[1,{"b":null}]}}`, `{"type":"next","id":"1"}`,
		`null`, `[]`, "{\"type\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, id, payload, ok := transport.ParseMessage(data)
		if !ok {
			return
		}
		named := kind == "subscribe" || kind == "complete"
		var object map[string]any
		switch {
		case !json.Valid(data):
			t.Error("accepted invalid JSON")
		case named != (id != "") || len(id) > 256:
			t.Errorf("%s with the id %q", kind, id)
		case kind == "subscribe" && payload == nil, kind == "complete" && payload != nil:
			t.Errorf("%s with the payload %q", kind, payload)
		case payload != nil && json.Unmarshal(payload, &object) != nil:
			t.Errorf("the payload %q is not an object", payload)
		case !named && kind != "connection_init" && kind != "ping" && kind != "pong":
			t.Errorf("a client may not send %q", kind)
		}
		if !named {
			return
		}
		again, id2, payload2, ok := transport.ParseMessage(transport.Envelope(kind, id, payload))
		if !ok || again != kind || id2 != id || !bytes.Equal(payload, payload2) {
			t.Errorf("%s %q %s became %s %q %s", kind, id, payload, again, id2, payload2)
		}
	})
}
