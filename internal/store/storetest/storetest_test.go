package storetest_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// startVariable makes this test binary start a server, print its URL and wait.
const startVariable = "STORETEST_START"

func TestMain(m *testing.M) {
	if os.Getenv(startVariable) != "" {
		os.Exit(startAndWait())
	}
	storetest.Main(m)
}

func startAndWait() (code int) {
	url, stop, err := storetest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(url)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for range 3 {
		storetest.Run(t, func(t *testing.T, db *store.DB) {
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				var users int
				if err := tx.Get(&users, `SELECT count(*) FROM users`); err != nil {
					return err
				}
				_, err := tx.Exec(`CREATE TABLE mine (n BIGINT)`)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	server := startElsewhere(t)
	if err := server.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	server.wantGone(t)
	if _, err := os.Stat(server.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server's folder still exists (%v)", err)
	}
}

type server struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	folder string
	conn   *sql.Conn
}

// startElsewhere starts a server in another process and connects to it.
func startElsewhere(t *testing.T) *server {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), startVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		if os.Getenv("CI") != "true" {
			t.Skip("NOT TESTED: cannot start a server here")
		}
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var data string
	if err := conn.QueryRowContext(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	return &server{cmd, stdin, filepath.Dir(data), conn}
}

// wantGone waits for the server to end. The query fails when it does.
func (s *server) wantGone(t *testing.T) {
	t.Helper()
	if _, err := s.conn.ExecContext(t.Context(), "SELECT pg_sleep(20)"); err == nil {
		t.Error("the server is still running")
	}
}
