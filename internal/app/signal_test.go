package app_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runs reports whether the server runs the document with an id.
func (s *server) runs(t *testing.T, id string) bool {
	t.Helper()
	body := strings.NewReader(`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + id + `"}}}`)
	answer, err := http.Post(s.URL+"/graphql", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), `"__typename":"Query"`)
}

func TestAHangupReloadsTheTrustedDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "trusted.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"first":"{ __typename }"}`)
	srv := serve(t, dir, "--trusted-documents="+path)
	hangUp := func(log string) {
		t.Helper()
		if err := srv.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for begin := time.Now(); !strings.Contains(srv.stderr.String(), log); time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > deadline {
				t.Fatalf("%q is not in the log: %s", log, srv.stderr)
			}
		}
	}
	if !srv.runs(t, "first") || srv.runs(t, "second") {
		t.Error("the first version of the file is not used")
	}
	write(`{"second":"{ __typename }"}`)
	hangUp("at SIGHUP")
	if srv.runs(t, "first") || !srv.runs(t, "second") {
		t.Error("the changed file was not reloaded")
	}
	write(`{"third":"{ nonsense }"}`)
	hangUp("cannot reload all files at SIGHUP")
	if srv.runs(t, "third") || !srv.runs(t, "second") {
		t.Error("the previous version was not kept")
	}
	srv.stop(t)
}

func TestOtherSignalsDoNotEndTheServer(t *testing.T) {
	t.Parallel()
	srv := serve(t, t.TempDir())
	for _, signal := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGHUP,
	} {
		if err := srv.cmd.Process.Signal(signal); err != nil {
			t.Fatalf("%s: %v", signal, err)
		}
		answer, err := http.Get(srv.URL + "/healthz")
		if err != nil {
			t.Fatalf("after %s: %v\n%s", signal, err, srv.stderr)
		}
		_ = answer.Body.Close()
	}
	srv.stop(t)
}
