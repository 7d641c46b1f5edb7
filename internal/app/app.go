package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/graph"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/dsn"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/limit"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/observe"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/team"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/schema"
)

const (
	// keysEvery is how soon a replica follows a change of the signing keys: as soon as a revocation.
	keysEvery = session.PollEvery
	// upkeepEvery is how often keys are aged and dead rows deleted.
	upkeepEvery = time.Minute
	// lastFlush bounds the last write of a stopping server.
	lastFlush = 3 * time.Second
)

// lags are the buckets of the metrics of views, in seconds.
var lags = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// App is Graphwarden: its services over one open database.
type App struct {
	Config     *config.Config
	Schema     *ast.Schema
	DB         *store.DB
	Keys       *token.Ring
	Issuer     *token.Issuer
	Verifier   *token.Verifier
	View       *session.View
	Activity   *session.Activity
	Sessions   *session.Service
	Throttle   *throttle.Throttle
	Audit      *audit.Log
	Feed       *audit.Feed
	Challenges *challenge.Service
	Mail       *mail.Outbox
	Passkeys   *passkey.Service
	Hasher     *password.Hasher
	Social     *social.Service
	Accounts   *account.Service
	Users      *account.View // nil with --user-view=off
	SignIn     *signin.Service
	Metrics    *observe.Metrics
	Memory     *memory.Budget

	authenticator *guard.Authenticator
	cursors       *graph.Cursors

	policy   *guard.Policy
	breached *password.Breached
	trusted  *graph.TrustedDocuments
	streams  *transport.Streams
	origins  *web.Origins
	proxies  *web.Proxies
	now      func() time.Time
	log      *slog.Logger
}

// Access is what a process may do to the database.
type Access int

// The kinds of access. On SQLite the first three work beside a running server.
const (
	Reads    Access = iota // writes nothing
	Writes                 // writes rows; it makes tables and keys in an empty database only
	Migrates               // brings the tables up to date, on SQLite only while no server runs
	Serves                 // is the only server on an SQLite file, migrates, and seals the keys under its secret
)

// Open opens the database and makes the services: all that the command line needs, and all that a server
// needs before Run. c must be complete. The caller closes the App.
func Open(ctx context.Context, c *config.Config, access Access, now func() time.Time, log *slog.Logger) (*App, error) {
	sdl, err := schema.Load()
	if err != nil {
		return nil, err
	}
	policy, err := newPolicy(sdl, c)
	if err != nil {
		return nil, err
	}
	origins, err := newOrigins(c, now, log)
	if err != nil {
		return nil, err
	}
	proxies, err := web.NewProxies(c.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("--trusted-proxies: %w", err)
	}
	limit := int64(c.MemoryLimit) << 20
	// Leave a part of the container's memory to the kernel's share of it.
	if most := memory.ContainerLimit(os.DirFS("/")) / 5 * 4; most > 0 && most < limit {
		log.Warn("using less than --memory-limit, because the container has less memory", "bytes", most)
		limit = most
	}
	budget := memory.NewBudget(limit)
	trusted, err := trustedDocuments(c.TrustedDocuments, sdl, budget)
	if err != nil {
		return nil, err
	}
	source, err := dsn.Parse(c.Database)
	if err != nil {
		return nil, err
	}
	if len(source.Ignored) > 0 {
		log.Warn("ignoring parameters of --database that have no effect here", "parameters", source.Ignored)
	}
	db, err := store.Open(ctx, store.Options{URL: c.Database, Pooler: c.DatabasePooler, MaxConns: c.DatabaseConns,
		IdlePoll: c.IdlePoll, Exclusive: access == Serves, ReadOnly: access == Reads, Now: now})
	if err != nil {
		return nil, err
	}
	a := &App{Config: c, Schema: sdl, DB: db, policy: policy, trusted: trusted, origins: origins, proxies: proxies,
		Memory: budget, now: now, log: log}
	if err := a.wire(ctx, access); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) wire(ctx context.Context, access Access) (err error) {
	c := a.Config
	if err = a.migrate(ctx, access); err != nil {
		return err
	}
	key, err := a.openKeys(ctx, access)
	if err != nil {
		return err
	}
	a.Issuer = token.NewIssuer(a.Keys, c.Issuer, c.Audience, c.AccessLife, a.now)
	a.Verifier = token.NewVerifier(a.Keys, c.Issuer, c.Audience, a.now)
	a.Metrics = observe.New()
	if c.UserView == "on" {
		a.Users = account.NewView(session.MaxViewAge, a.Metrics.Durations("graphwarden_user_lag_seconds",
			"Time from a change of a user on another replica, by the database's clock, until this one knew of it.",
			lags...), a.now)
	}
	a.View = session.NewView(a.DB, session.ViewOptions{
		MaxSkew: c.ClockSkew,
		OnRevoke: func(id session.ID, user token.UserID) {
			a.Users.Drop(user)
			a.streams.Recheck(transport.Key{User: string(user), Session: string(id)})
		},
		OnPoll: a.Users.Poll,
		OnLag: a.Metrics.Durations("graphwarden_revocation_lag_seconds",
			"Time from a revocation on another replica, by the database's clock, until this one knew of it.", lags...),
	}, a.now)
	a.Activity, err = session.NewActivity(a.DB, a.now)
	if err != nil {
		return err
	}
	a.Audit, a.Feed = audit.NewLog(a.DB, c.AuditLife, a.now), audit.NewFeed(a.DB, a.now)
	a.cursors = graph.NewCursors(key)
	a.Throttle = throttle.New(a.DB, key, rates(&c.Limits), a.now)
	a.Challenges = challenge.New(a.DB, key, a.now)
	if a.Mail, err = a.newOutbox(key); err != nil {
		return err
	}
	a.Sessions = session.NewService(a.DB, a.Issuer, key, a.View, a.Throttle,
		session.Options{IdleLife: c.SessionIdle, MaxLife: c.SessionLife, Grace: c.RefreshGrace})
	pepperID, pepper, err := c.Pepper()
	if err != nil {
		return err
	}
	old, err := c.OldPeppers()
	if err != nil {
		return err
	}
	untrimmed, err := c.UntrimmedPeppers()
	if err != nil {
		return err
	}
	a.Hasher, err = password.NewHasher(password.HasherOptions{
		Cost:             c.BcryptCost,
		Pepper:           pepper,
		PepperID:         pepperID,
		OldPeppers:       old,
		UntrimmedPeppers: untrimmed,
		Now:              a.now,
	})
	if err != nil {
		return err
	}
	if access != Reads {
		if a.breached, err = password.OpenBreached(c.BreachedPasswords, a.log); err != nil {
			return fmt.Errorf("--breached-passwords: %w", err)
		}
	}
	policy := password.Policy{MinLength: c.PasswordMin, Breached: a.breached}
	hasRole := func(role token.Role) bool { return schema.HasRole(a.Schema, role) }
	mailing := account.Mailing{
		Challenges: a.Challenges,
		Outbox:     a.Mail,
		Silent:     c.Register == "silent",
		Closed:     c.Register == "closed" || c.Register == "invite",
		Invites:    c.Register == "invite",
		Verifies:   c.EmailVerification != "off",
		Requires:   c.EmailVerification == "required",
		Codes:      c.SendsCodes(),
	}
	if a.Passkeys, err = passkey.New(a.DB, a.Challenges, site(c)); err != nil {
		return err
	}
	factors := mfa.New(a.DB, key, a.Challenges, c.TOTPIssuer, a.now)
	if access == Serves {
		if err := factors.Reseal(ctx); err != nil {
			return err
		}
	}
	if a.Social, err = a.newSocial(key, hasRole); err != nil {
		return err
	}
	a.Accounts = account.NewService(a.DB, a.Sessions, a.Throttle, a.Hasher, policy, a.Users, hasRole, c.DeleteGrace,
		mailing, factors, a.Passkeys, a.Social)
	a.SignIn = signin.NewService(a.DB, a.Accounts, a.Sessions, a.Social, a.Throttle, a.Hasher, policy, factors,
		a.Passkeys, a.Audit, a.log)
	a.authenticator = guard.NewAuthenticator(a.Verifier, a.View, a.Activity, a.now, a.log)
	a.streams = a.newStreams()
	a.registerMetrics()
	return nil
}

func rates(l *config.Limits) throttle.Rates {
	rates := throttle.Rates{}
	for bucket, rate := range l.Rates() {
		rates[throttle.Bucket(bucket)] = throttle.Rate(rate)
	}
	return rates
}

// migrate brings Graphwarden's tables up to date, then the team's, as far as access allows.
func (a *App) migrate(ctx context.Context, access Access) error {
	ofTeam := team.Migrations()
	state, err := a.DB.State(ctx, ofTeam)
	switch {
	case err != nil || state == store.Current:
		return err
	case access >= Migrates || access == Writes && state == store.Empty:
		return a.DB.Migrate(ctx, ofTeam)
	case state == store.Empty:
		return errors.New("the database is empty: run graphwarden migrate, or start the server")
	}
	return errors.New(
		"the tables are of an earlier version than this program: run graphwarden migrate, or start the server")
}

// openKeys opens the signing keys with the secret of the deployment, as far as access allows.
func (a *App) openKeys(ctx context.Context, access Access) (*secret.Secret, error) {
	c := a.Config
	// Before the secret: a new one must not be created for keys that are sealed with another.
	hasKeys, err := token.HasKeys(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	key, err := c.LoadSecret(!hasKeys && access != Reads)
	if err != nil {
		return nil, err
	}
	open := token.OpenRing
	if access == Reads {
		open = token.LoadRing
	}
	a.Keys, err = open(ctx, a.DB, key, token.RingOptions{
		Algorithm:   token.Algorithm(c.Algorithm),
		Type:        token.Type(c.TokenType),
		RotateEvery: c.KeyLife,
		Overlap:     c.KeyOverlap,
		TokenLife:   c.AccessLife,
		Now:         a.now,
	})
	if err != nil || access != Serves {
		return key, err
	}
	return key, a.Keys.Reseal(ctx)
}

// Close closes the database and the list of breached passwords.
func (a *App) Close() error { return errors.Join(a.DB.Close(), a.breached.Close()) }

// graphQL makes the handler of /graphql; more are further extensions, inside the guard.
func (a *App) graphQL(more []graphql.HandlerExtension) (http.Handler, error) {
	resolver := &graph.Resolver{
		Accounts:      a.Accounts,
		Sessions:      a.Sessions,
		SignIn:        a.SignIn,
		Passkeys:      a.Passkeys,
		Social:        a.Social,
		Throttle:      a.Throttle,
		Audit:         a.Audit,
		Feed:          a.Feed,
		Authenticator: a.authenticator,
		Cursors:       a.cursors,
		Team:          team.New(a.DB),
	}
	srv, err := graph.NewHandler(a.Schema, resolver, a.policy, graph.HandlerOptions{
		Bounds:      limit.Bounds(a.Config.Queries),
		MaxBody:     a.Config.MaxBody,
		MaxValues:   maxValues(a.Config),
		MaxDepth:    maxDepth(a.Config),
		Memory:      a.Memory,
		Batch:       a.Config.Batch,
		Timeout:     a.Config.OperationTimeout,
		Suggestions: !a.Config.Production,
		Streams:     a.streams,
		Origin:      a.origins.AdmitsSocket,
		Trusted:     a.trusted,
	}, a.now, a.log, more...)
	if err != nil {
		return nil, err
	}
	return a.authenticator.Middleware(srv), nil
}

func newPolicy(sdl *ast.Schema, c *config.Config) (*guard.Policy, error) {
	var factorRoles []token.Role
	for _, role := range c.RequireMFA {
		factorRoles = append(factorRoles, token.Role(role))
	}
	return guard.NewPolicy(sdl, c.Introspection, factorRoles...)
}

func newOrigins(c *config.Config, now func() time.Time, log *slog.Logger) (*web.Origins, error) {
	return web.NewOrigins(c.PublicURL, web.OriginOptions{
		Listed: c.AllowedOrigins, Loopback: !c.Production, Returns: c.ReturnTo, Headers: c.AllowedHeaders,
	}, now, log)
}

// maxValues and maxDepth bound the JSON of a request before it is decoded. They admit all variables within
// their own bounds: an empty list counts twice, and the members around the variables count too.
func maxValues(c *config.Config) int { return 2*c.Queries.VariableValues + 1000 }
func maxDepth(c *config.Config) int  { return c.Queries.InputDepth + 10 }

func (a *App) newStreams() *transport.Streams {
	connect := func(ctx context.Context, raw string) (context.Context, transport.Key, time.Time, error) {
		ctx, principal, err := a.authenticator.Connect(ctx, raw)
		if err != nil {
			return ctx, transport.Key{}, time.Time{}, err
		}
		key := transport.Key{User: string(principal.UserID), Session: string(principal.SessionID)}
		return ctx, key, principal.ExpiresAt, nil
	}
	c := a.Config
	options := transport.StreamOptions{
		PerAddress: c.StreamsPerAddress,
		PerUser:    c.StreamsPerUser,
		Operations: c.OperationsPerSocket,
		MaxBody:    c.MaxBody,
		MaxValues:  maxValues(c),
		MaxDepth:   maxDepth(c),
		Memory:     a.Memory,
		Leeway:     token.Leeway,
	}
	return transport.NewStreams(connect, a.authenticator.Check, options, a.now, streamsEnded(a.Metrics), a.log)
}

// trustedDocuments reads the file of --trusted-documents. Without one, it returns nil and all operations run.
func trustedDocuments(path string, schema *ast.Schema, budget *memory.Budget) (*graph.TrustedDocuments, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--trusted-documents: %w", err)
	}
	if most := budget.Caches(); int64(len(raw)) > most {
		return nil, fmt.Errorf("--trusted-documents: %s has more than the %d bytes that --memory-limit leaves for it",
			path, most)
	}
	trusted, err := graph.ParseTrustedDocuments(raw, schema)
	if err != nil {
		return nil, fmt.Errorf("--trusted-documents %s: %w", path, err)
	}
	return trusted, nil
}

// Reload reads the trusted documents and the breached passwords again. After an error, the previous ones stay in force.
func (a *App) Reload() error {
	return errors.Join(a.reloadTrusted(), a.breached.Reload())
}

func (a *App) reloadTrusted() error {
	trusted, err := trustedDocuments(a.Config.TrustedDocuments, a.Schema, a.Memory)
	if err != nil || trusted == nil {
		return err
	}
	a.trusted.Replace(trusted)
	return nil
}

// Ready reports whether guarded fields can be answered and sign-ins be written.
func (a *App) Ready(ctx context.Context) error {
	_ = a.View.CatchUp(ctx) // the age shows a failure
	if age := a.View.Age(); age > session.MaxViewAge {
		return fmt.Errorf("revocations were last read %s ago", age)
	}
	if err := a.View.CheckClock(); err != nil {
		return err
	}
	return a.DB.Writable(ctx)
}

// Follow runs the background work until ctx ends: reading revocations and keys, writing marks, upkeep. It first reads
// revocations. wait returns when all of the work has stopped.
func (a *App) Follow(ctx context.Context) (wait func(), err error) {
	if err := a.View.Poll(ctx); err != nil {
		return nil, err
	}
	var group sync.WaitGroup
	group.Go(func() { a.DB.Listen(ctx, a.log) })
	group.Go(func() { a.View.Follow(ctx, a.log) })
	group.Go(func() { a.Feed.Follow(ctx, a.log) })
	group.Go(func() { a.Mail.Follow(ctx) })
	group.Go(func() { a.Activity.Follow(ctx, lastFlush, a.log) })
	every := func(interval time.Duration, topic, failure string, work func(context.Context) error) {
		group.Go(func() {
			store.Loop{
				DB:      a.DB,
				Now:     a.now,
				Log:     a.log,
				Every:   interval,
				Due:     a.DB.Due,
				Topic:   topic,
				Failure: failure,
			}.Run(ctx, work)
		})
	}
	every(keysEvery, token.Topic, "follow signing keys", a.Keys.Reload)
	every(upkeepEvery, "", "maintain signing keys", a.timely(a.Keys.Maintain))
	every(upkeepEvery, "", "delete dead rows", a.timely(a.alone("sessions", a.Sessions.Prune)))
	every(upkeepEvery, "", "delete accounts", a.timely(a.alone("deletions", a.Accounts.DeleteDue)))
	every(upkeepEvery, "", "empty the throttle", a.timely(a.alone("throttle", a.Throttle.Prune)))
	every(upkeepEvery, "", "delete old mails", a.timely(a.alone("old mails", a.Mail.Prune)))
	every(upkeepEvery, "", "delete expired challenges", a.timely(a.alone("challenges", a.Challenges.Prune)))
	every(upkeepEvery, "", "delete old invitations", a.timely(a.alone("invitations", a.Accounts.PruneInvitations)))
	every(upkeepEvery, "", "shorten the audit log", a.timely(a.alone("audit log", a.Audit.Prune)))
	return group.Wait, nil
}

// timely skips f while the clocks disagree: by a wrong clock, f would delete rows that are still needed. The view logs
// the disagreement.
func (a *App) timely(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if a.View.CheckClock() != nil {
			return nil
		}
		return f(ctx)
	}
}

// alone skips f if another replica has begun it within upkeepEvery. It stops f when its lease ends; the next run
// continues from there.
func (a *App) alone(name string, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, upkeepEvery)
		defer cancel()
		held, err := a.DB.Lease(ctx, name, upkeepEvery)
		if err != nil || !held {
			return err
		}
		return f(ctx)
	}
}
