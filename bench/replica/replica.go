// Package replica builds and runs the server for benchmarks, and calls it as clients do.
package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// startTimeout and stopTimeout limit the start and the stop of a server on a busy machine.
const startTimeout, stopTimeout = time.Minute, 30 * time.Second

// Build compiles the server into folder.
func Build(ctx context.Context, folder string) (binary string, err error) {
	binary = filepath.Join(folder, "graphwarden")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// Unlimited returns settings with which neither throttles nor password hashing slow down a benchmark.
func Unlimited() []string {
	return []string{
		"--bcrypt-cost=4",
		"--login-pair-limit=1000000/15m",
		"--login-account-limit=1000000/15m",
		"--login-address-limit=1000000/15m",
		"--register-address-limit=1000000/1h",
		"--register-limit=1000000/1h",
	}
}

// Server is a running server.
type Server struct {
	// URL is the GraphQL endpoint.
	URL string
	// PID is the process id.
	PID    int
	cmd    *exec.Cmd
	exited chan error
}

var listening = regexp.MustCompile(`listens on (http://[^/]+/graphql)`)

// Start starts binary on a free port. It writes the server's log to log.
func Start(binary string, log io.Writer, args ...string) (*Server, error) {
	s := &Server{cmd: exec.Command(binary, append(args, "--listen=127.0.0.1:0")...), exited: make(chan error, 1)}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr, s.cmd.WaitDelay = filepath.Dir(binary), []string{}, log, time.Second
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.PID = s.cmd.Process.Pid
	banner := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				banner <- found[1]
			}
		}
		s.exited <- s.cmd.Wait()
	}()
	select {
	case s.URL = <-banner:
		return s, nil
	case err := <-s.exited:
		return nil, fmt.Errorf("the server stopped: %w", err)
	case <-time.After(startTimeout):
		return nil, errors.Join(errors.New("the server did not start in time"), s.cmd.Process.Kill())
	}
}

// Stop stops the server with SIGTERM, as an orchestrator does.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.exited:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("the server did not stop in time"), s.cmd.Process.Kill())
	}
}

// FreeAddress returns an unused address of the loopback interface.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Run builds the server, starts it with args, and calls f with it. The server logs to stderr.
func Run(ctx context.Context, f func(*Server) error, args ...string) error {
	return InFolder(func(folder string) error {
		binary, err := Build(ctx, folder)
		if err != nil {
			return err
		}
		s, err := Start(binary, os.Stderr, append(args, "--log-level=error")...)
		if err != nil {
			return err
		}
		return errors.Join(f(s), s.Stop())
	})
}

// InFolder calls f with a temporary folder.
func InFolder(f func(folder string) error) error {
	folder, err := os.MkdirTemp("", "graphwarden-bench-")
	if err != nil {
		return err
	}
	return errors.Join(f(folder), os.RemoveAll(folder))
}
