//go:build long

package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build clones the last commit into a new folder, runs make build there and returns the path of the binary.
func build(t *testing.T) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	for _, args := range [][]string{{"git", "clone", "--quiet", "..", clone}, {"make", "-C", clone, "build"}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(clone, "bin", "graphwarden")
}

func TestBuildsAreReproducible(t *testing.T) {
	t.Parallel()
	var builds [2][]byte
	for i := range builds {
		b, err := os.ReadFile(build(t))
		if err != nil {
			t.Fatal(err)
		}
		builds[i] = b
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Errorf("two builds of %d and %d bytes differ", len(builds[0]), len(builds[1]))
	}
}

// The file system of the image is sufficient: the binary, an empty /data of the image's user, and nothing else.
func TestTheImageHasAllThatTheServerNeeds(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: chroot needs root")
	}
	dockerfile := replace(t, "Dockerfile")
	const user = 65532
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "VOLUME /data", `ENTRYPOINT ["/graphwarden"]`} {
		if !strings.Contains(dockerfile, "\n"+line+"\n") {
			t.Fatalf("the Dockerfile has no line %s: change this test with it", line)
		}
	}
	root := t.TempDir()
	binary, err := os.ReadFile(build(t))
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "graphwarden"), binary, 0o755)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(root, "data"), 0o755)
	}
	if err == nil {
		err = os.Chown(filepath.Join(root, "data"), user, user)
	}
	for folder := root; err == nil && folder != os.TempDir(); folder = filepath.Dir(folder) {
		err = os.Chmod(folder, 0o755) // go test makes folders that only root may enter
	}
	if err != nil {
		t.Fatal(err)
	}
	environment := strings.Fields(regexp.MustCompile(`(?m)^ENV (.*)$`).FindStringSubmatch(dockerfile)[1])
	address := unused(t)
	environment = append(environment, "GRAPHWARDEN_LISTEN="+address) // the last one counts
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/graphwarden", args...)
		cmd.Dir, cmd.Env = "/", environment
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
		return cmd
	}
	start(t, inside(), address)
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		out, err := inside("health", "--ready").CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("not healthy: %v %s", err, out)
		}
	}
	response := post(t, from(t, "127.0.0.1"), "http://"+address+"/graphql",
		`mutation { register(input: {email: "jane@example.com", password: "an unlikely passphrase"}) { auth { tokenType } } }`, nil)
	defer func() { _ = response.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil || !strings.Contains(body.String(), `"tokenType":"Bearer"`) {
		t.Errorf("%v %s", err, &body)
	}
}
