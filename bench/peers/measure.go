package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/graphwarden/graphwarden/bench/replica"
)

const (
	email       = "ada@example.com"
	connections = 32
	// warmUp is the time before the measurement, in which caches fill and code is compiled.
	warmUp = 2
	// timeout limits the start and the stop of a server.
	timeout = 30 * time.Second
)

// sample is the result of one measurement. wrk writes all but the memory.
type sample struct {
	Requests, Failures     int
	Microseconds, P50, P99 float64
	peakKiB                float64
}

func (s sample) rate() float64 { return float64(s.Requests) / s.Microseconds * 1e6 }
func (s sample) p50() float64  { return s.P50 / 1e3 }
func (s sample) p99() float64  { return s.P99 / 1e3 }
func (s sample) peak() float64 { return s.peakKiB / 1024 }
func (s sample) failures() int { return s.Failures }

// measure starts s, checks its answers, and sends requests with wrk.
func (s server) measure(ctx context.Context, folder string, q query) (one sample, err error) {
	address, err := replica.FreeAddress()
	if err != nil {
		return one, err
	}
	database, drop := "", func() {}
	if s.postgres != "" {
		if database, drop, err = replica.NewSchema(ctx, s.postgres); err != nil {
			return one, err
		}
	}
	defer drop()
	folder, err = os.MkdirTemp(folder, "server-")
	if err != nil {
		return one, err
	}
	_, port, _ := strings.Cut(address, ":")
	args := []string{"-c", "0"}
	for _, arg := range s.command {
		args = append(args, strings.NewReplacer("ADDRESS", address, "PORT", port, "DATABASE", database).Replace(arg))
	}
	log := new(bytes.Buffer)
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "taskset", args...) // which executes the server in the same process
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_ENV=production", "PYTHONDONTWRITEBYTECODE=1"}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = timeout
	if err := cmd.Start(); err != nil {
		stop()
		return one, err
	}
	one, err = s.load(ctx, folder, "http://"+address, q)
	if err == nil {
		one.peakKiB, err = peak(cmd.Process.Pid)
	}
	stop()
	_ = cmd.Wait() // the signal is not an error
	if err != nil {
		return one, fmt.Errorf("%w\n%s", err, log)
	}
	return one, nil
}

// load waits for the server at url and measures it.
func (s server) load(ctx context.Context, folder, url string, q query) (one sample, err error) {
	if err := listening(ctx, strings.TrimPrefix(url, "http://")); err != nil {
		return one, err
	}
	token, err := s.login(ctx, url, q.rows)
	if err != nil {
		return one, fmt.Errorf("login: %w", err)
	}
	method, body := http.MethodPost, ""
	if s.me != "" {
		method, url = http.MethodGet, url+s.me
	} else {
		url += "/graphql"
		body = fmt.Sprintf(`{"query":%q}`, q.document)
	}
	if err := check(ctx, method, url, token, body, q.rows); err != nil {
		return one, err
	}
	script := filepath.Join(folder, "wrk.lua")
	if err := os.WriteFile(script, fmt.Appendf(nil, wrkScript, method, body, token), 0o600); err != nil {
		return one, err
	}
	if _, err := wrk(ctx, script, url, warmUp); err != nil {
		return one, err
	}
	if one, err = wrk(ctx, script, url, *seconds); err != nil {
		return one, err
	}
	return one, check(ctx, method, url, token, body, q.rows)
}

// listening waits until a server accepts connections.
func listening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return connection.Close()
		}
		if ctx.Err() != nil {
			return errors.New("the server did not start in time")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// login returns the token of the last of as many logins as a query has rows, or of one.
func (s server) login(ctx context.Context, url string, rows int) (token string, err error) {
	if s.rest {
		answer, err := send(ctx, http.MethodPost, url+"/login", "", "")
		var out struct{ AccessToken string }
		return out.AccessToken, errors.Join(err, json.Unmarshal([]byte(answer), &out))
	}
	client := replica.NewClient(url + "/graphql")
	defer client.Close()
	if s.registers {
		const register = `mutation($email: String!, $password: String!) {
			register(input: {email: $email, password: $password, name: "Ada"}) { auth { expiresIn } }
		}`
		_, err := client.Do(ctx, "", register, map[string]any{"email": email, "password": replica.Password})
		if err != nil {
			return "", err
		}
	}
	for range max(rows, 1) {
		if token, err = client.Login(ctx, email); err != nil {
			return "", err
		}
	}
	return token, nil
}

// check returns an error if the answer is incomplete, or if a forged token gets the same answer.
func check(ctx context.Context, method, url, token, body string, rows int) error {
	answer, err := send(ctx, method, url, token, body)
	if err != nil {
		return err
	}
	count := func(part string) int { return strings.Count(answer, part) }
	right := count(`"name":"Ada"`) == 1 && count(`"id":`) == rows+1 && count(`"ip":"127.0.0.1"`) == rows
	if rows == 0 {
		right = right && count(`"email":"`+email+`"`) == 1
	} else {
		right = right && count(`"current":`) == rows && count(`"current":true`) == 1
	}
	if !right {
		return fmt.Errorf("unexpected answer: %s", answer)
	}
	at := len(token) - 10 // within the signature
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	forged := token[:at] + other + token[at+1:]
	if answer, err = send(ctx, method, url, forged, body); err != nil {
		return err
	}
	if strings.Contains(answer, "Ada") {
		return errors.New("the server accepts a forged token")
	}
	return nil
}

func send(ctx context.Context, method, url, token, body string) (answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return string(raw), err
}

// wrkScript is a Lua script for a method, a body and a token. It writes a sample to stderr.
const wrkScript = `
wrk.method = %q
wrk.body = %q
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
done = function(summary, latency)
	local e = summary.errors
	io.stderr:write(string.format('{"requests":%%d,"failures":%%d,"microseconds":%%d,"p50":%%d,"p99":%%d}',
		summary.requests, e.connect + e.read + e.write + e.timeout + e.status, summary.duration,
		latency:percentile(50), latency:percentile(99)))
end
`

// wrk runs wrk on processor 1 for a number of seconds.
func wrk(ctx context.Context, script, url string, seconds int) (one sample, err error) {
	cmd := exec.CommandContext(ctx, "taskset", "-c", "1", "wrk", "-t1", "-c"+strconv.Itoa(connections),
		"-d"+strconv.Itoa(seconds), "-s", script, url)
	var report bytes.Buffer
	cmd.Stderr = &report
	if err := cmd.Run(); err != nil {
		return one, fmt.Errorf("wrk: %w\n%s", err, &report)
	}
	if err := json.Unmarshal(report.Bytes(), &one); err != nil {
		return one, fmt.Errorf("wrk: %w\n%s", err, &report)
	}
	return one, nil
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak returns the maximum resident memory of a process in KiB.
func peak(pid int) (float64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	found := highWater.FindSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("no VmHWM in %s", status)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
