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

	Serve   serveCmd   `cmd:"" default:"withargs" help:"Serve the API (the default command)."`
	Doctor  doctorCmd  `cmd:"" help:"Check the settings, files and database for production, without changing anything."`
	Health  healthCmd  `cmd:"" help:"Ask the server on this machine whether it is alive; for health checks of containers."`
	Migrate migrateCmd `cmd:"" help:"Migrate the database, as serve does when it starts."`
	User    struct {
		Add     userAddCmd     `cmd:"" help:"Create an account. Reads the password from standard input."`
		Invite  userInviteCmd  `cmd:"" help:"Mail an invitation to create an account."`
		Import  userImportCmd  `cmd:"" help:"Import accounts from a file of another system, with their password hashes."`
		List    userListCmd    `cmd:"" help:"List all accounts."`
		Disable userDisableCmd `cmd:"" help:"Disable an account and end its sessions."`
		Enable  userEnableCmd  `cmd:"" help:"Enable an account again."`
		Role    userRoleCmd    `cmd:"" help:"Add and remove roles."`
		Export  userExportCmd  `cmd:"" help:"Print everything that is stored about a user, as JSON."`
		Delete  userDeleteCmd  `cmd:"" help:"Delete an account at once."`

		Factors      userFactorsCmd      `cmd:"" help:"Show the second factors of a user."`
		ResetFactors userResetFactorsCmd `cmd:"" help:"Remove the second factors of a user who has lost them."`
	} `cmd:"" help:"Manage accounts."`
	Breached struct {
		Build breachedBuildCmd `cmd:"" help:"Build the list for --breached-passwords."`
	} `cmd:"" help:"Manage lists of breached passwords."`
	Key struct {
		List   keyListCmd   `cmd:"" help:"List the signing keys."`
		Rotate keyRotateCmd `cmd:"" help:"Sign with the next key. Tokens of the old key remain valid."`
		Revoke keyRevokeCmd `cmd:"" help:"Refuse all tokens of a key, for example after a leak."`
	} `cmd:"" help:"Manage signing keys."`
	Mail struct {
		List  mailListCmd  `cmd:"" help:"List the newest mails."`
		Show  mailShowCmd  `cmd:"" help:"Show one mail, without its link or code."`
		Retry mailRetryCmd `cmd:"" help:"Send a failed or waiting mail now."`
		Test  mailTestCmd  `cmd:"" help:"Send a test mail to an address now."`
	} `cmd:"" help:"Look after mails."`
	Schema struct {
		Policy schemaPolicyCmd `cmd:"" help:"Print who may read each field of each type."`
		Check  schemaCheckCmd  `cmd:"" help:"Check that every field has an access rule, as serve does when it starts."`
		Print  schemaPrintCmd  `cmd:"" help:"Print the SDL."`
	} `cmd:"" help:"Inspect the schema and its access rules."`
	Help helpCmd `cmd:"" help:"Print the help of a command."`
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as user add."`
}

// BeforeReset prints the help. The parser calls it before it validates settings.
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

// access returns the database access of a command. Commands that may write run beside a server, except for migrate.
func access(command string) app.Access {
	switch words, _, _ := strings.Cut(command, " <"); words {
	case "serve":
		return app.Serves
	case "migrate":
		return app.Migrates
	case "user add", "user invite", "user import", "user disable", "user enable", "user role", "user export",
		"user reset-factors", "user delete", "key rotate", "key revoke", "mail retry":
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

// untilSignal returns a context that ends at the first SIGINT or SIGTERM. It restores the default action of the signals
// before the context ends, so that a second signal kills the process as soon as anything shows that the first one
// arrived. With signal.NotifyContext, a second signal that follows at once would be lost.
func untilSignal(parent context.Context) (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer stop()
		defer signal.Stop(signals)
		select {
		case <-signals:
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// Main runs a command line and returns the exit code. It prints errors to stderr.
func Main(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	ctx, stop := untilSignal(ctx)
	defer stop()
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "graphwarden: %v\n", spelledOut(err))
		return code
	}
	var c commands
	done := false
	parser, err := kong.New(&c, kong.Name("graphwarden"), kong.Writers(out, stderr), kong.DefaultEnvars("GRAPHWARDEN"),
		kong.Description("A GraphQL API server in which every resolver is guarded by the schema itself."),
		kong.Vars{"version": version(debug.ReadBuildInfo())}, kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(config.Help),
		kong.Exit(func(int) { done = true })) // after --help and --version; Parse returns nevertheless
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
	if c.Production && parsed.Command() != "doctor" { // doctor prints the checks itself
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
		return exitFailed // doctor has printed the reasons
	}
	if err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// withoutURLs replaces a URL in the parser's message, and the text after it, because both may contain a password.
func withoutURLs(message string) string {
	return regexp.MustCompile(`(?s)[^\s"'=]+://.*`).ReplaceAllString(message, "URL")
}

func logger(level string, w io.Writer) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // unreachable: the parser validates the level
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// with calls f with the opened app, and closes it afterwards.
func (e *env) with(f func(*app.App) error) (err error) {
	a, err := app.Open(e.ctx, e.config, e.access, time.Now, e.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return f(a)
}
