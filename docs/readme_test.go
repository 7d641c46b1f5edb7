package docs_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// TestREADME runs the commands of the README against the built binary, and compares their output.
func TestREADME(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is missing")
		}
		t.Skip("NOT TESTED: the commands of the README need curl")
	}
	binary := filepath.Join(t.TempDir(), "graphwarden")
	if out, err := exec.Command("go", "build", "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	storetest.URLs(t, func(t *testing.T, url string) {
		address := serve(t, binary, url)
		commands, want := conversation(t)
		var script strings.Builder
		for _, command := range commands {
			script.WriteString(strings.ReplaceAll(command, "127.0.0.1:8080", address) + "\necho '<<>>'\n")
		}
		bash := exec.Command("bash", "-c", script.String())
		bash.Stderr = os.Stderr
		out, err := bash.Output()
		if err != nil {
			t.Fatalf("run the commands: %v", err)
		}
		got := strings.Split(string(out), "<<>>\n")
		for i, command := range commands {
			pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want[i]), "…", ".*") + "$"
			if !regexp.MustCompile(pattern).MatchString(got[i]) {
				t.Errorf("$ %s\ngot  %swant %s", command, got[i], want[i])
			}
		}
	})
}

// conversation returns the commands of the README's marked console block, and their expected output.
func conversation(t *testing.T) (commands, answers []string) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(readme, []byte("<!-- docs/readme_test.go"))
	_, after, _ = bytes.Cut(after, []byte("```console\n"))
	block, _, _ := bytes.Cut(after, []byte("```"))
	for line := range strings.Lines(string(block)) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands, answers = append(commands, strings.TrimSpace(command)), append(answers, "")
		} else {
			answers[len(answers)-1] += line
		}
	}
	if len(commands) < 8 {
		t.Fatalf("the README has only %d commands", len(commands))
	}
	return commands, answers
}

// serve runs the binary until the end of the test, and returns the address in its banner.
func serve(t *testing.T, binary, database string) string {
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--database", database)
	cmd.Env = append(os.Environ(), "GRAPHWARDEN_SECRET=a secret for the test of the README")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	banner, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`http://([^/]+)/graphql`).FindStringSubmatch(banner)
	if err != nil || address == nil {
		t.Fatalf("the banner %q has no address: %v", banner, err)
	}
	return address[1]
}
