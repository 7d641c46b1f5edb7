package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

// connectionFloods returns floods of unfinished requests and slow readers.
func connectionFloods() []Flood {
	quick := append(replica.Unlimited(), "--insecure-bcrypt-cost")
	full := values("[]")
	return []Flood{
		{Name: "8,000 idle connections", run: held(8000, "")},
		{
			Name: "4,000 slow headers of 15 KB",
			run:  held(4000, "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 15_000)),
		},
		{Name: "1,000 slow bodies of 1 MiB", run: held(1000, head(len(full), "")+full[:len(full)-1])},
		{Name: "3,000 slow bodies of 15 KB", run: held(3000, head(15_001, "")+strings.Repeat(" ", 15_000))},
		{Name: "100 slow readers of large answers", Settings: quick, run: slowReaders},
	}
}

func head(length int, token string) string {
	text := fmt.Sprintf(
		"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", length,
	)
	if token != "" {
		text += "Authorization: Bearer " + token + "\r\n"
	}
	return text + "\r\n"
}

// held returns a flood that opens n connections, sends text on each, and holds them.
func held(n int, text string) func(context.Context, *Target) error {
	return func(ctx context.Context, t *Target) error { return t.hold(ctx, n, text, 0) }
}

// hold opens n connections, sends text on each, holds them, and counts the responses. With a window, it reads the
// responses only at the end; window is the size of the receive buffer.
func (t *Target) hold(ctx context.Context, n int, text string, window int) error {
	u, err := url.Parse(t.URL)
	if err != nil {
		return err
	}
	var reading sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	err = each(n, 100, func(int) error {
		conn, err := elsewhere.DialContext(ctx, "tcp", u.Host)
		if err != nil {
			t.count("closed")
			return nil
		}
		mu.Lock()
		all = append(all, conn)
		mu.Unlock()
		if window > 0 {
			_ = conn.(*net.TCPConn).SetReadBuffer(window)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(holdFor))
		_, _ = io.WriteString(conn, text) // the server may have closed the connection
		if window == 0 {
			reading.Go(func() { t.count(verdictOf(conn)) })
		}
		return nil
	})
	select {
	case <-time.After(holdFor):
	case <-ctx.Done():
	}
	for _, conn := range all {
		if window > 0 {
			reading.Go(func() { t.count(verdictOf(conn)) })
		} else {
			_ = conn.SetReadDeadline(time.Now())
		}
	}
	stop := time.AfterFunc(4*holdFor, func() { // the server may still work on the last ones
		for _, conn := range all {
			_ = conn.SetReadDeadline(time.Now())
		}
	})
	reading.Wait()
	stop.Stop()
	for _, conn := range all {
		_ = conn.Close()
	}
	return err
}

// verdictOf reads one response from conn.
func verdictOf(conn net.Conn) string {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "held"
	}
	if err != nil {
		return "closed"
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Errors []struct{ Extensions struct{ Code, Reason string } }
	}
	o := Outcome{Status: response.StatusCode}
	if json.NewDecoder(response.Body).Decode(&answer) == nil && len(answer.Errors) > 0 {
		o.Code, o.Reason = answer.Errors[0].Extensions.Code, answer.Errors[0].Extensions.Reason
	}
	return o.Verdict()
}

// slowReaders requests the largest responses and delays reading them.
func slowReaders(ctx context.Context, t *Target) error {
	if err := t.sessions(ctx, 99); err != nil {
		return err
	}
	encoded, err := json.Marshal(map[string]string{"query": largest()})
	if err != nil {
		return err
	}
	return t.hold(ctx, 100, head(len(encoded), t.Token)+string(encoded), 4096)
}
