package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/graphwarden/graphwarden/bench/replica"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// server is a program to measure.
type server struct {
	name string
	// command is the command line. ADDRESS, PORT and DATABASE stand for the address to listen on, its port, and the URL
	// of the schema.
	command []string
	// rest means that POST /login returns the token.
	rest bool
	// me is the path of a REST resource. If it is empty, the server answers POST /graphql.
	me string
	// registers means that the user must register first.
	registers bool
	// postgres is the URL of a Postgres server, in which each measurement has its own schema.
	postgres string
	// sessions means that the server stores a session for each login.
	sessions bool
}

// install builds and installs the servers. It skips those whose platform is missing.
func install(ctx context.Context, folder string) ([]server, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	bare, gqlgen := filepath.Join(folder, "bare"), filepath.Join(folder, "gqlgen")
	graphwarden, err := replica.Build(ctx, folder)
	err = errors.Join(err,
		command(ctx, "go", "build", "-o", bare, "./bench/peers/bare"),
		command(ctx, "go", "build", "-C", "bench/peers/gqlgen", "-o", gqlgen, "."))
	if err != nil {
		return nil, err
	}
	servers := []server{
		{name: "bare net/http", command: []string{bare, "ADDRESS"}, rest: true},
		{name: "gqlgen (map)", command: []string{gqlgen, "ADDRESS"}},
		{name: "gqlgen (SQLite)", command: []string{gqlgen, "ADDRESS", "peer.db"}, sessions: true},
	}
	node, err := nodeServers(ctx, filepath.Join(root, "bench/peers/node"))
	if err != nil {
		return nil, err
	}
	servers = append(append(servers, node...), pythonServers(ctx, filepath.Join(root, "bench/peers/fastapi"))...)
	own := append(append([]string{graphwarden}, replica.Unlimited()...), "--listen=ADDRESS", "--stop-delay=0s")
	with := func(args ...string) []string { return append(own[:len(own):len(own)], args...) }
	servers = append(servers,
		server{name: "Graphwarden (SQLite)", command: own, registers: true, sessions: true},
		server{name: "Graphwarden (SQLite; `--user-view=off`)", command: with("--user-view=off"), registers: true},
	)
	url := os.Getenv(storetest.URLVariable)
	if url == "" {
		skip("Graphwarden on Postgres", "postgresql")
		return servers, nil
	}
	return append(servers, server{
		name:      "Graphwarden (Postgres)",
		command:   with("--database=DATABASE", "--secret=a secret for benchmarks, of more than 32 bytes"),
		registers: true, sessions: true, postgres: url,
	}), nil
}

func skip(name, packages string) {
	fmt.Fprintf(os.Stderr, "SKIPPED: %s (Debian: apt-get install %s)\n", name, packages)
}

// nodeServers installs the npm packages if their lock file has changed since the last time.
func nodeServers(ctx context.Context, folder string) ([]server, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		skip("the servers on Node.js", "nodejs npm")
		return nil, nil
	}
	lock, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	marker := filepath.Join(folder, "node_modules", ".complete")
	installed, err := os.Stat(marker)
	if err != nil || installed.ModTime().Before(lock.ModTime()) {
		args := []string{"ci", "--no-audit", "--no-fund", "--prefix", folder}
		if _, err := os.Stat("/usr/include/node/node.h"); err == nil {
			args = append(args, "--nodedir=/usr") // better-sqlite3 is compiled with Debian's headers
		}
		if err := command(ctx, "npm", args...); err != nil {
			return nil, err
		}
		if err := os.WriteFile(marker, nil, 0o644); err != nil {
			return nil, err
		}
	}
	script := func(name string, args ...string) []string {
		return append([]string{"node", filepath.Join(folder, name), "ADDRESS"}, args...)
	}
	return []server{
		{name: "Mercurius with JIT (map)", command: script("mercurius.mjs")},
		{name: "Mercurius with JIT (map; verified tokens cached)", command: script("mercurius.mjs", "--token-cache")},
		{name: "Mercurius with JIT (SQLite)", command: script("mercurius.mjs", "--sqlite")},
		{name: "GraphQL Yoga (map)", command: script("yoga.mjs")},
		{name: "Apollo Server (map)", command: script("apollo.mjs")},
	}, nil
}

// pythonServers uses Debian's Python, because its packages are not visible to others.
func pythonServers(ctx context.Context, folder string) []server {
	const python = "/usr/bin/python3"
	if command(ctx, python, "-c", "import fastapi, uvicorn, uvloop, httptools, jose") != nil {
		skip("FastAPI", "python3-fastapi python3-uvicorn python3-uvloop python3-httptools python3-jose")
		return nil
	}
	return []server{{
		name: "FastAPI (map)",
		command: []string{python, "-m", "uvicorn", "server:app", "--app-dir", folder, "--host", "127.0.0.1",
			"--port", "PORT", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"},
		rest: true, me: "/me",
	}}
}

// command runs a command to its end. The error contains its output.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
