package genqlient_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// endpoint runs the server until the end of the test and returns its GraphQL endpoint. The binary is
// GRAPHWARDEN_BINARY, or one built from this repository.
func endpoint(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	program := os.Getenv("GRAPHWARDEN_BINARY")
	if program == "" {
		program = filepath.Join(folder, "graphwarden")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	server := exec.Command(program, "--listen=127.0.0.1:0", "--bcrypt-cost=4", "--database=sqlite:"+filepath.Join(folder, "test.db"))
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	banner, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`http://[^/]+/graphql`).FindString(banner)
	if err != nil || url == "" {
		t.Fatalf("the banner %q names no endpoint: %v", banner, err)
	}
	return url
}
