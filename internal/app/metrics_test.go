package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// scrape returns the metrics of srv.
func scrape(t *testing.T, srv *apptest.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.App.Metrics.Serve(ctx, l, slog.New(slog.DiscardHandler)) }()
	response, body := get(t, "http://"+l.Addr().String()+"/metrics")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return body
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	a := apptest.Start(t, func(o *apptest.Options) { o.Config.RefreshInvalidLimit.Burst = 1 })
	b := apptest.Start(t, apptest.Database(a.App.Config.Database))
	c := a.As(t)
	spent := c.RefreshToken
	c.Refresh(t)
	a.Anonymous().Redeem(t, spent).Into(t, &struct{}{})
	forged := spent[:len(spent)-4] + "AAAA"
	a.Anonymous().Redeem(t, forged)
	a.Anonymous().Redeem(t, forged).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	dial := func() *websocket.Conn {
		socket, _, err := websocket.Dial(
			t.Context(), strings.Replace(a.URL, "http", "ws", 1)+"/graphql",
			&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}},
		)
		if err != nil {
			t.Fatal(err)
		}
		return socket
	}
	defer dial().CloseNow()
	for _, message := range []string{`{"type":"connection_init","payload":{"token":"nonsense"}}`, "nonsense"} {
		socket := dial()
		if err := socket.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		_, _, _ = socket.Read(t.Context())
	}
	ended := c.Login(t)
	ended.Server = b
	ended.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})

	want := []string{
		"graphwarden_refresh_replays_total 1",
		"graphwarden_throttle_refusals_total 1",
		"graphwarden_streams 1",
		`graphwarden_streams_ended_total{code="4400",reason=""} 1`,
		`graphwarden_streams_ended_total{code="4403",reason="TOKEN_INVALID"} 1`,
		"graphwarden_password_work 0",
		"graphwarden_password_refusals_total 0",
		"graphwarden_revocation_view_subjects 1",
		"graphwarden_revocation_lag_seconds_count 1",
		`graphwarden_revocation_lag_seconds_bucket{le="+Inf"} 1`,
	}
	var body string
	deadline := time.After(deadline)
	for {
		body = scrape(t, a)
		missing := slices.DeleteFunc(
			slices.Clone(want), func(line string) bool { return strings.Contains(body, "\n"+line+"\n") },
		)
		if len(missing) == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("without %q:\n%s", missing, body)
		case <-time.After(20 * time.Millisecond):
		}
	}
	onlyMetrics(
		t, body, c.Email, c.AccessToken, c.RefreshToken, "nonsense", string(c.UserID), string(c.SessionID), "127.0.0.1",
		apptest.Password,
	)
	if response, _ := get(t, a.URL+"/metrics"); response.StatusCode != http.StatusNotFound {
		t.Errorf("the public listener answers /metrics with %d", response.StatusCode)
	}
}

// onlyMetrics checks that body contains all metrics, and no data of users.
func onlyMetrics(t *testing.T, body string, private ...string) {
	t.Helper()
	var names []string
	for _, line := range strings.Split(body, "\n") {
		if name, ok := strings.CutPrefix(line, "# TYPE graphwarden_"); ok {
			names = append(names, name)
		}
	}
	if diff := cmp.Diff([]string{
		"clock_skew_seconds gauge", "database_connections_used gauge", "database_statements_total counter",
		"database_waits_total counter", "mail_oldest_seconds gauge", "mail_queued gauge", "memory_claimed_bytes gauge", "memory_refusals_total counter",
		"password_refusals_total counter", "password_work gauge",
		"refresh_replays_total counter", "revocation_lag_seconds histogram", "revocation_read_failures_total counter", "revocation_view_age_seconds gauge",
		"revocation_view_subjects gauge", "streams gauge", "streams_ended_total counter", "throttle_refusals_total counter",
		"user_lag_seconds histogram", "user_view_hits_total counter", "user_view_misses_total counter",
		"user_view_users gauge",
	}, names); diff != "" {
		t.Error(diff)
	}
	for _, found := range regexp.MustCompile(`[{,]([a-z_]+)=`).FindAllStringSubmatch(body, -1) {
		if !slices.Contains([]string{"le", "quantile", "version", "code", "reason", "kind", "state"}, found[1]) {
			t.Errorf("the label %s may identify a user", found[1])
		}
	}
	for _, text := range private {
		if strings.Contains(body, text) {
			t.Errorf("%s is told", text)
		}
	}
}

func TestMetricsAreServedWhereTheSettingSays(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().String()
	refused(t, t.TempDir(), []string{"--listen=127.0.0.1:0", "--metrics-listen=" + taken}, "--metrics-listen", taken)
	_ = l.Close()
	srv := serve(t, t.TempDir(), "--metrics-listen="+taken)
	if _, body := get(t, "http://"+taken+"/metrics"); !strings.Contains(
		body,
		"\ngraphwarden_revocation_view_age_seconds 0",
	) {
		t.Errorf("%s", body)
	}
	srv.stop(t)
}

func TestTheHeapFollowsTheMemoryLimit(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := l.Addr().String()
	_ = l.Close()
	srv := serve(t, t.TempDir(), "--memory-limit=128", "--metrics-listen="+metrics)
	_, body := get(t, "http://"+metrics+"/metrics")
	for _, line := range []string{
		"go_gc_gomemlimit_bytes 1.00663296e+08", // three quarters of the memory limit
		"graphwarden_memory_refusals_total 0",
		"graphwarden_memory_claimed_bytes 0",
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("%s is not in %s", line, body)
		}
	}
	srv.stop(t)
}
