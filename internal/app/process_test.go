package app_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// deadline limits every wait for a process. The promised times are much shorter.
const deadline = 20 * time.Second

// follows limits the time until a server applies a command. The promise is 1 s; the rest is for a busy machine.
const follows = 5 * time.Second

// program returns a command that runs the program in a folder with exactly the environment env.
func program(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(env, asProgram+"=1"), deadline
	return cmd
}

// run runs a command that must succeed.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := program(t, dir, nil, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// server is a running server process.
type server struct {
	*apptest.Server
	cmd    *exec.Cmd
	stderr *output
	exited chan error
}

// output collects the output of a running process.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var listening = regexp.MustCompile(`listens on (https?://[^/]+)/graphql`)

// serve starts the program on a free port and waits for its banner.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := &server{
		cmd:    program(t, dir, nil, append([]string{"--stop-delay=0s", "--listen=127.0.0.1:0"}, args...)...),
		stderr: &output{},
		exited: make(chan error, 1),
	}
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	banner := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				banner <- found[1]
			}
		}
		s.exited <- s.cmd.Wait()
	}()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	select {
	case url := <-banner:
		s.Server = &apptest.Server{URL: url}
	case err := <-s.exited:
		t.Fatalf("the server stopped: %v\n%s", err, s.stderr)
	case <-time.After(deadline):
		t.Fatal("the server does not say that it listens")
	}
	return s
}

// stop stops the server with SIGTERM, as an orchestrator does, and checks the exit code.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.exited:
		if err != nil {
			t.Errorf("the server ends with %v\n%s", err, s.stderr)
		}
	case <-time.After(deadline):
		t.Error("the server does not stop")
	}
	if text := s.stderr.String(); strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
		t.Error(text)
	}
}

// refused checks that the program does not start, and prints one message with the reason and the fix.
func refused(t *testing.T, dir string, args []string, says ...string) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := program(t, dir, nil, args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() < 1 {
		t.Errorf("%v: %v", args, err)
	}
	text := stderr.String()
	if !strings.HasPrefix(text, "graphwarden: ") || strings.Count(text, "graphwarden: ") != 1 {
		t.Errorf("%v: not one message: %s", args, text)
	}
	if out.Len() > 0 {
		t.Errorf("%v: it says on standard output: %s", args, &out)
	}
	for _, want := range says {
		if !strings.Contains(text, want) {
			t.Errorf("%v: %q is not in: %s", args, want, text)
		}
	}
	for _, never := range []string{"goroutine", "panic", "hunter2", `"level"`} {
		if strings.Contains(text, never) {
			t.Errorf("%v: %q is in: %s", args, never, text)
		}
	}
}
