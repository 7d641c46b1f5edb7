package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// dialers is the number of sockets opened concurrently.
const dialers = 32

// sockets are WebSockets that stay open until the server or close closes them.
type sockets struct {
	cancel  context.CancelFunc
	reading sync.WaitGroup
	mu      sync.Mutex
	conns   []*websocket.Conn
	ended   []ending
}

type ending struct {
	at   time.Time
	code websocket.StatusCode
}

// open opens n sockets with token, and runs the operation on each.
func open(ctx context.Context, url, token string, n int) (*sockets, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &sockets{cancel: cancel}
	var group errgroup.Group
	group.SetLimit(dialers)
	for range n {
		group.Go(func() error { return s.one(ctx, url, token) })
	}
	if err := group.Wait(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sockets) one(ctx context.Context, url, token string) error {
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	send := func(message any) error {
		text, err := json.Marshal(message)
		if err != nil {
			return err
		}
		return conn.Write(ctx, websocket.MessageText, text)
	}
	payload := map[string]string{"Authorization": "Bearer " + token}
	if err := send(map[string]any{"type": "connection_init", "payload": payload}); err != nil {
		return err
	}
	if _, text, err := conn.Read(ctx); err != nil || !strings.Contains(string(text), "connection_ack") {
		return fmt.Errorf("instead of connection_ack: %q, %w", text, err)
	}
	payload = map[string]string{"query": operation}
	if err := send(map[string]any{"id": "1", "type": "subscribe", "payload": payload}); err != nil {
		return err
	}
	s.reading.Go(func() {
		var err error
		for err == nil {
			_, _, err = conn.Read(ctx)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, ending{time.Now(), websocket.CloseStatus(err)})
	})
	return nil
}

// wait waits until all sockets are closed, and returns how each ended.
func (s *sockets) wait() []ending {
	s.reading.Wait()
	return s.ended
}

func (s *sockets) close() {
	s.cancel()
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.CloseNow()
	}
	s.mu.Unlock()
	s.reading.Wait()
}

// gauges are metrics of the server.
type gauges struct{ streams, goroutines, resident int }

// settled scrapes the metrics until they have been as wanted for a while, and returns them.
func settled(ctx context.Context, url string, wanted func(gauges) bool) (gauges, error) {
	var now gauges
	calm := 0
	for deadline := time.Now().Add(settleFor); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if now, err = scrape(ctx, url); err != nil {
			return now, err
		}
		if calm++; !wanted(now) {
			calm = 0
		}
		if calm == 20 {
			return now, nil
		}
	}
	return now, fmt.Errorf("the server does not settle: %d streams, %d goroutines", now.streams, now.goroutines)
}

func scrape(ctx context.Context, url string) (g gauges, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return g, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return g, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch name {
		case "graphwarden_streams":
			g.streams = int(value)
		case "go_goroutines":
			g.goroutines = int(value)
		case "process_resident_memory_bytes":
			g.resident = int(value)
		}
	}
	return g, lines.Err()
}
