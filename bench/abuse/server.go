package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// server is one that this program started.
type server struct {
	url string
	cmd *exec.Cmd
	dir string
}

var listening = regexp.MustCompile(`listens on (http://\S+/graphql)`)

// start builds the server and runs it on loopback, in a folder that stop removes.
func start(ctx context.Context) (*server, error) {
	dir, err := os.MkdirTemp("", "abuse")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	binary := filepath.Join(dir, "graphwarden")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		s.stop()
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	s.cmd = exec.Command(binary, "--production", "--listen=127.0.0.1:0", "--public-url=https://localhost",
		"--database=sqlite:"+filepath.Join(dir, "abuse.db"), "--log-level=error")
	s.cmd.Env = append(os.Environ(), "GRAPHWARDEN_SECRET="+rand.Text()+rand.Text())
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.cmd = nil
		s.stop()
		return nil, err
	}
	banner, err := bufio.NewReader(out).ReadString('\n')
	found := listening.FindStringSubmatch(banner)
	if err != nil || found == nil {
		s.stop()
		return nil, fmt.Errorf("the server does not say where it listens: %q", banner)
	}
	s.url = found[1]
	return s, nil
}

// stop ends the server and removes its folder.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		kill := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
		_ = s.cmd.Wait()
		kill.Stop()
	}
	_ = os.RemoveAll(s.dir)
}
