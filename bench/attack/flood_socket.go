package attack

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// socketFloods returns floods over WebSockets.
func socketFloods() []Flood {
	return []Flood{
		{Name: "60 subscriptions with extensions of 1 MB", run: subscriptions(1, 60, func(int) map[string]any {
			return map[string]any{
				"query":      securityEvents,
				"extensions": map[string]any{"a": json.RawMessage("[" + strings.Repeat("[],", 330_000) + "0]")},
			}
		})},
		{Name: "1,000 subscriptions with extensions of 500 KB", run: subscriptions(10, 100, func(int) map[string]any {
			return map[string]any{"query": securityEvents, "extensions": map[string]any{"a": strings.Repeat("x", 500_000)}}
		})},
		{Name: "2,000 subscriptions with texts of 250 KB", run: subscriptions(20, 100, func(i int) map[string]any {
			return map[string]any{"query": securityEvents + fmt.Sprintf("# %d ", i) + strings.Repeat("x", 250_000)}
		})},
		{Name: "2,000 subscriptions with documents of 700 tokens", run: subscriptions(20, 100, func(i int) map[string]any {
			return map[string]any{
				"query": `subscription { securityEvents { ` + times(99, "a#: ip") + times(
					24, "... { id action at lastAt count sessionId ip userAgent } ",
				) + fmt.Sprintf("} } # %d", i),
			}
		})},
		{Name: "1,000 subscriptions with variables of 500 KB", run: subscriptions(10, 100, func(int) map[string]any {
			return map[string]any{
				"query":     "subscription($a: Boolean = true) { securityEvents { id @include(if: $a) } }",
				"variables": map[string]any{"b": strings.Repeat("x", 500_000)},
			}
		})},
		{
			Name: "5,000 subscriptions",
			run:  subscriptions(50, 100, func(int) map[string]any { return map[string]any{"query": securityEvents} }),
		},
		{Name: "200 sockets with half a message of 1 MB", run: halfMessages},
		{Name: "60 sockets with messages of 1 MB of []", run: messages},
	}
}

const securityEvents = "subscription { securityEvents { id } }"

// socket opens a WebSocket and sends connection_init. An empty token means an anonymous connection.
func (t *Target) socket(ctx context.Context, token string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, strings.Replace(t.URL, "http", "ws", 1), &websocket.DialOptions{
		HTTPClient: manyConnections(), Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return nil, err
	}
	payload := map[string]string{}
	if token != "" {
		payload["Authorization"] = "Bearer " + token
	}
	text, err := json.Marshal(map[string]any{"type": "connection_init", "payload": payload})
	if err != nil {
		return nil, err
	}
	if err := conn.Write(ctx, websocket.MessageText, text); err != nil {
		return conn, err
	}
	_, _, err = conn.Read(ctx)
	return conn, err
}

// subscriptions returns a flood that opens n subscriptions on each socket and holds them.
func subscriptions(sockets, n int, payload func(i int) map[string]any) func(context.Context, *Target) error {
	return func(ctx context.Context, t *Target) error {
		ctx, cancel := context.WithTimeout(ctx, patience/2)
		defer cancel()
		until := make(chan struct{})
		time.AfterFunc(2*holdFor, func() { close(until) })
		return each(sockets, sockets, func(s int) error {
			conn, err := t.socket(ctx, t.Token)
			if conn != nil {
				defer func() { _ = conn.CloseNow() }()
			}
			if err != nil {
				t.count(closing(err))
				return nil
			}
			refused := make(chan int, 1)
			go func() { refused <- t.refusals(ctx, conn) }()
			sent := 0
			for i := range n {
				text, err := json.Marshal(map[string]any{"type": "subscribe", "id": fmt.Sprint(i), "payload": payload(s*n + i)})
				if err != nil {
					return err
				}
				if conn.Write(ctx, websocket.MessageText, text) != nil {
					break // refusals counts the reason
				}
				sent++
			}
			select {
			case <-until:
				_ = conn.CloseNow()
				for range sent - <-refused {
					t.count("held")
				}
			case <-refused: // the server has closed the connection
			}
			return nil
		})
	}
}

// refusals counts the errors on conn until it ends.
func (t *Target) refusals(ctx context.Context, conn *websocket.Conn) (n int) {
	conn.SetReadLimit(-1)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			if code := websocket.CloseStatus(err); code >= 0 {
				t.count(closing(err))
			}
			return n
		}
		var m struct {
			Type    string
			Payload []struct{ Extensions struct{ Code, Reason string } }
		}
		if json.Unmarshal(text, &m) == nil && m.Type == "error" && len(m.Payload) > 0 {
			n++
			t.count("error " + m.Payload[0].Extensions.Code + " " + m.Payload[0].Extensions.Reason)
		}
	}
}

func closing(err error) string { return fmt.Sprint("closed with ", int(websocket.CloseStatus(err))) }

// halfMessages sends messages of one mebibyte without their last byte on anonymous connections.
func halfMessages(ctx context.Context, t *Target) error {
	const upgrade = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
	const size = mebibyte - 10
	frame := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, size)
	frame = append(frame, 0, 0, 0, 0) // the mask
	return t.hold(ctx, 200, upgrade+string(frame)+strings.Repeat(" ", size-1), 0)
}

func messages(ctx context.Context, t *Target) error {
	text := []byte(
		`{"type": "subscribe", "id": "1", "payload": {` + anyQuery + `, "variables": {"a": [` + strings.Repeat(
			"[],",
			330_000,
		) + `0]}}}`,
	)
	return each(60, 60, func(int) error {
		conn, err := t.socket(ctx, "")
		if conn != nil {
			defer func() { _ = conn.CloseNow() }()
		}
		if err != nil {
			t.count(closing(err))
			return nil
		}
		for range 3 {
			if err := conn.Write(ctx, websocket.MessageText, text); err != nil {
				return nil
			}
			_, answer, err := conn.Read(ctx)
			if err != nil {
				t.count(closing(err))
				return nil
			}
			var m struct {
				Type    string
				Payload json.RawMessage
			}
			_ = json.Unmarshal(answer, &m)
			t.count(m.Type + " " + codeIn(m.Payload))
			if m.Type == "next" {
				_, _, _ = conn.Read(ctx) // complete
			}
		}
		return nil
	})
}

func codeIn(payload json.RawMessage) string {
	var errors []struct{ Extensions struct{ Code, Reason string } }
	if json.Unmarshal(payload, &errors) != nil || len(errors) == 0 {
		return ""
	}
	return errors[0].Extensions.Code + " " + errors[0].Extensions.Reason
}
