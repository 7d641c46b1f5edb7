package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/schema"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

type commands struct {
	config.Config `embed:""`

	Version kong.VersionFlag `env:"-" help:"Print the version, the commit and the version of Go."`

	Serve   serveCmd   `cmd:"" default:"withargs" help:"Serve the API. This is the default command."`
	Doctor  doctorCmd  `cmd:"" help:"Check the settings, the database and the host, and change nothing."`
	Migrate migrateCmd `cmd:"" help:"Migrate the database's schema, as serve does at its start."`
	User    struct {
		Add     userAddCmd     `cmd:"" help:"Create an account. The password is read from standard input."`
		Import  userImportCmd  `cmd:"" help:"Create accounts with their password hashes from a file of another system."`
		List    userListCmd    `cmd:"" help:"List all accounts."`
		Disable userDisableCmd `cmd:"" help:"Disable an account and end its sessions."`
		Enable  userEnableCmd  `cmd:"" help:"Enable an account again."`
		Role    userRoleCmd    `cmd:"" help:"Add and remove roles."`
	} `cmd:"" help:"Accounts."`
	Key struct {
		List   keyListCmd   `cmd:"" help:"List the signing keys."`
		Rotate keyRotateCmd `cmd:"" help:"Sign with the next key from now on. Tokens of the old key stay valid."`
		Revoke keyRevokeCmd `cmd:"" help:"Refuse all tokens of a key from now on, for example after a leak."`
	} `cmd:"" help:"Signing keys."`
	Schema struct {
		Policy schemaPolicyCmd `cmd:"" help:"Print who may read each field of each type."`
		Check  schemaCheckCmd  `cmd:"" help:"Run the start-up check of the schema, for CI."`
		Print  schemaPrintCmd  `cmd:"" help:"Print the SDL, for code generators."`
	} `cmd:"" help:"The schema and its guards."`
	Help helpCmd `cmd:"" help:"Print the help of a command."`
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as user add."`
}

// BeforeReset prints the help of c's command. The parser calls it before it parses settings, which may be invalid.
func (helpCmd) BeforeReset(k *kong.Kong, c *kong.Context) error {
	of, err := kong.Trace(k, append(slices.Clone(c.Args[slices.Index(c.Args, "help")+1:]), "--help"))
	if err == nil {
		err = of.Error
	}
	if err != nil {
		return err
	}
	defer k.Exit(exitOK)
	return of.PrintUsage(false)
}

// access returns what a command may do to the database. All other commands only read it, or do not open it.
func access(command string) app.Access {
	switch words, _, _ := strings.Cut(command, " <"); words {
	case "serve":
		return app.Serves
	case "migrate":
		return app.Migrates
	case "user add", "user import", "user disable", "user enable", "user role", "key rotate", "key revoke":
		return app.Writes
	}
	return app.Reads
}

// env is the environment of a command.
type env struct {
	ctx    context.Context
	config *config.Config
	access app.Access
	schema *ast.Schema
	in     io.Reader
	out    io.Writer
	log    *slog.Logger
}

// Main runs a command line and returns the exit code. Any error is one message on stderr.
func Main(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process without an orderly shutdown
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "graphwarden: %v\n", explained(err))
		return code
	}
	var c commands
	done := false
	parser, err := kong.New(&c,
		kong.Name("graphwarden"),
		kong.Description("A GraphQL API server in which every resolver is guarded by the schema itself."),
		kong.Writers(out, stderr),
		kong.DefaultEnvars("GRAPHWARDEN"),
		kong.Vars{"version": version(debug.ReadBuildInfo())},
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(int) { done = true }), // after --help, when parsing continues
	)
	if err != nil {
		return fail(exitFailed, err)
	}
	parsed, err := parser.Parse(args)
	if done {
		return exitOK
	}
	if err != nil {
		return fail(exitUsage, fmt.Errorf("%s (see graphwarden --help)", withoutURLs(err.Error())))
	}
	sdl, err := schema.Load()
	if err != nil {
		return fail(exitFailed, err)
	}
	c.UnknownVariables = unknownVariables(parser.Model, os.Environ())
	problems := c.Complete(func(role string) bool { return schema.HasRole(sdl, role) })
	if c.Production && parsed.Command() != "doctor" { // doctor lists them itself
		problems = append(problems, app.Refusals(app.Checks(&c.Config))...)
	}
	if len(problems) > 0 {
		return fail(exitUsage, errors.New("invalid settings:\n  "+strings.Join(problems, "\n  ")))
	}
	e := &env{
		ctx:    ctx,
		config: &c.Config,
		access: access(parsed.Command()),
		schema: sdl,
		in:     in,
		out:    out,
		log:    logger(c.LogLevel, stderr),
	}
	if len(c.UnknownVariables) > 0 && parsed.Command() != "doctor" {
		e.log.Warn("ignoring unknown GRAPHWARDEN_ variables", "variables", c.UnknownVariables)
	}
	err = parsed.Run(e)
	if errors.Is(err, errUnhealthy) {
		return exitFailed // doctor has printed the reason
	}
	if err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// withoutURLs replaces a URL in a message of the parser, and the text after it. A database URL given to the wrong
// setting may contain a password.
func withoutURLs(message string) string {
	return regexp.MustCompile(`(?s)[^\s"'=]+://.*`).ReplaceAllString(message, "URL")
}

func logger(level string, w io.Writer) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // unreachable: the parser accepts only levels
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// with opens the app for a command and closes it afterwards.
func (e *env) with(f func(*app.App) error) (err error) {
	a, err := app.Open(e.ctx, e.config, e.access, time.Now, e.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return f(a)
}
