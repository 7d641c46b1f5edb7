// Command withpostgres runs a command with one temporary Postgres server for all its test processes:
//
//	go run ./internal/store/storetest/withpostgres go test ./...
//
// If a server is configured already, or Postgres is not installed, it only runs the command.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("name the command to run")
	}
	if os.Getenv(storetest.URLVariable) == "" {
		url, stop, err := storetest.Start()
		switch {
		case errors.Is(err, storetest.ErrNotInstalled):
			fmt.Fprintln(os.Stderr, "withpostgres:", err)
		case err != nil:
			return 1, err
		default:
			defer stop()
			if err := os.Setenv(storetest.URLVariable, url); err != nil {
				return 1, err
			}
		}
	}
	return command(args)
}

// command runs args and waits for their end. It passes signals on, because the server must outlive the tests.
func command(args []string) (code int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended already
		case err := <-ended:
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return max(exit.ExitCode(), 1), nil // -1 means killed by a signal
			}
			if err != nil {
				return 1, err
			}
			return 0, nil
		}
	}
}
