package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNotInstalled means that Postgres is not installed here.
var ErrNotInstalled = errors.New("no Postgres server is installed here and " + URLVariable + " is not set; " +
	"install one (Debian: apt-get install postgresql; macOS: brew install postgresql), " +
	"or set the variable to a postgres:// URL")

// startTimeout bounds how long a new server may take to answer.
const startTimeout = time.Minute

// Start runs a temporary Postgres server on a free loopback port until stop is called or this process dies. The server
// trades crash safety for speed.
func Start() (url string, stop func() error, err error) {
	bin, err := serverBinaries()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "graphwarden-postgres-")
	if err != nil {
		return "", nil, err
	}
	url, kill, err := startIn(dir, bin)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("start Postgres: %w", err), os.RemoveAll(dir))
	}
	return url, func() error { return errors.Join(kill(), os.RemoveAll(dir)) }, nil
}

func startIn(dir, bin string) (url string, kill func() error, err error) {
	c, err := newCluster(dir, bin)
	if err != nil {
		return "", nil, err
	}
	_, end, err := c.start()
	if err != nil {
		return "", nil, err
	}
	// SIGQUIT is the immediate shutdown: the data is not needed.
	return c.url(), func() error { return end(syscall.SIGQUIT) }, nil
}

// cluster is the data directory and settings of a server, which may run several times.
type cluster struct {
	dir, bin, port string
	attributes     *syscall.SysProcAttr
}

func newCluster(dir, bin string) (*cluster, error) {
	attributes, err := serverProcess(dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, bin: bin, attributes: attributes}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, attributes
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	c.port, err = freePort()
	return c, err
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) url() string {
	return "postgres://postgres@127.0.0.1:" + c.port + "/postgres?sslmode=disable"
}

// start runs the server. end sends it a signal and waits for its end.
func (c *cluster) start() (process *os.Process, end func(os.Signal) error, err error) {
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	server := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data(), "-p", c.port, "-h", "127.0.0.1", "-k", "",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	server.Dir, server.SysProcAttr, server.Stdout, server.Stderr = c.dir, c.attributes, log, log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the server would end with the thread that started it, see processAttributes
		started <- server.Start()
		_ = server.Wait() // it only ends by a signal
	}()
	if err := <-started; err != nil {
		return nil, nil, err
	}
	end = func(signal os.Signal) error {
		err := server.Process.Signal(signal)
		<-ended
		return err
	}
	if err := await(c.url()); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, nil, errors.Join(fmt.Errorf("the server does not answer: %w\n%s", err, said), end(syscall.SIGQUIT))
	}
	return server.Process, end, nil
}

// serverProcess makes the server run as a user other than root, which Postgres requires, and gives that user its
// folder.
func serverProcess(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return processAttributes(nil), nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return nil, err
	}
	return processAttributes(&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}), os.Chown(dir, uid, gid)
}

// serverBinaries returns the folder with initdb and postgres. Debian keeps them out of PATH.
func serverBinaries() (string, error) {
	var folders []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(initdb))
	}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // it only fails for a bad pattern
	slices.SortFunc(versions, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	folders = append(folders, versions...)
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	for _, folder := range folders {
		_, noInit := exec.LookPath(filepath.Join(folder, "initdb"))
		_, noServer := exec.LookPath(filepath.Join(folder, "postgres"))
		if noInit == nil && noServer == nil {
			return folder, nil
		}
	}
	return "", ErrNotInstalled
}

// majorVersion returns 15 for /usr/lib/postgresql/15/bin.
func majorVersion(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // other names are sorted last
	return n
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

func await(url string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-poll.C:
		}
	}
}
