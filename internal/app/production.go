package app

import (
	"os"
	"slices"
	"strings"

	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/dsn"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Check is one item of the production check-list.
type Check struct {
	// Name is the subject, in one or two words.
	Name string
	OK   bool
	// Good and Bad describe the result if OK and if not; Fix says how to repair it.
	Good, Bad, Fix string
	// Flag accepts the risk, and Accepted reports whether it was given. Flag is empty if no flag does.
	Flag     string
	Accepted bool
	// Advice marks a check that never stops a server.
	Advice bool
}

// Fails reports whether the check keeps a server from starting in production.
func (c Check) Fails() bool { return !c.OK && !c.Accepted && !c.Advice }

// Refusals returns a sentence for each failed check: the problem, its repair, and the flag that accepts it.
func Refusals(checks []Check) (refusals []string) {
	for _, c := range checks {
		if !c.Fails() {
			continue
		}
		text := c.Bad
		if c.Fix != "" {
			text += ": " + c.Fix
		}
		if c.Flag != "" {
			text += ", or accept it with " + c.Flag
		}
		refusals = append(refusals, text)
	}
	return refusals
}

// Checks judges complete settings by the standards of production. It changes nothing.
func Checks(c *config.Config) []Check {
	_, badOrigin := newOrigins(c, nil, nil)
	_, badProxy := web.NewProxies(c.TrustedProxies)
	// The loopback host is no exception: in production no page of the user's own machine should act as the user.
	plain := slices.DeleteFunc(slices.Clone(c.AllowedOrigins), func(origin string) bool {
		return !strings.HasPrefix(strings.ToLower(strings.TrimSpace(origin)), "http://")
	})
	return slices.Concat(
		[]Check{{
			Name: "variables", OK: len(c.UnknownVariables) == 0,
			Good: "all GRAPHWARDEN_ variables are settings",
			Bad:  "no setting has the variable " + strings.Join(c.UnknownVariables, ", "),
			Fix:  "correct its name, as --help has it, or take it away; what it was to set has its default",
		}},
		secretChecks(c),
		[]Check{{
			Name: "https", OK: c.IsHTTPS(), Flag: "--insecure-http", Accepted: c.InsecureHTTP,
			Good: "clients connect by https://", Bad: "passwords and tokens travel in the clear",
			Fix: "set --public-url to an https:// URL, with a proxy in front that ends TLS or with --tls-cert",
		}, {
			Name: "origins", OK: badOrigin == nil,
			Good: "every origin whose pages may use cookies is named", Bad: message(badOrigin),
			Fix: "name each origin in full; * would let every page on the web act as any user who opens it",
		}, {
			Name: "plain origins", OK: len(plain) == 0, Flag: "--insecure-origins", Accepted: c.InsecureOrigins,
			Good: "every origin has https://",
			Bad:  "--allowed-origins: anyone on the network can change the pages of " + strings.Join(plain, ", "),
			Fix:  "serve those pages by https:// and list them so",
		}, {
			Name: "proxies", OK: badProxy == nil,
			Good: "only proxies are believed about client addresses", Bad: "--trusted-proxies: " + message(badProxy),
			Fix: "name the proxies in front of this server, and no other addresses",
		}},
		storageChecks(c),
		mailChecks(c),
		passkeyChecks(c),
		[]Check{{
			Name: "introspection", OK: c.Introspection != "public",
			Flag: "--insecure-introspection", Accepted: c.InsecureIntrospection,
			Good: "strangers cannot read the schema", Bad: "everyone can read the schema",
			Fix: "set --introspection to authenticated, a role or off, which it is in production if not set",
		}, {
			Name: "GraphiQL", OK: !servesExplorer(c), Flag: "--insecure-explorer", Accepted: c.InsecureExplorer,
			Good: "it is off", Bad: "GraphiQL is served to everyone",
			Fix: "leave --explorer out: without it, GraphiQL is off in production",
		}, {
			Name: "bcrypt cost", OK: c.BcryptCost >= 12, Flag: "--insecure-bcrypt-cost", Accepted: c.InsecureBcryptCost,
			Good: "guessing a password from a leaked hash is slow", Bad: "the cost of password hashes is below 12",
			Fix: "set --bcrypt-cost to 12 or more; hashes are renewed at the next login",
		}})
}

func secretChecks(c *config.Config) []Check {
	checks := []Check{{
		Name: "secret", OK: c.Secret != "", Flag: "--insecure-secret-file", Accepted: c.InsecureSecretFile,
		Good: "it is given, and not beside the database",
		Bad:  "the secret is in a file beside the database, and lost or copied with it",
		Fix:  "give --secret, such as the output of `openssl rand -base64 33`; for an existing database, that in the file",
	}}
	if info, err := os.Stat(c.SecretFile()); c.Secret == "" && err == nil {
		checks = append(checks, Check{
			Name: "secret file", OK: info.Mode().Perm()&0o077 == 0,
			Good: "only its owner can read it", Bad: "others on this machine can read " + c.SecretFile(),
			Fix: "chmod 600 " + c.SecretFile(),
		})
	}
	return checks
}

func storageChecks(c *config.Config) []Check {
	if path := c.SQLitePath(); path != "" {
		checks := []Check{onLocalDisk(store.NetworkFileSystem(path), c.InsecureStorage)}
		if info, err := os.Stat(path); err == nil {
			checks = append(checks, Check{
				// Its group may read it: the volumes of containers are shared by group.
				Name: "database file", OK: info.Mode().Perm()&0o007 == 0,
				Good: "not every user of this machine can read it",
				Bad:  "every user of this machine can read " + path + ", password hashes included",
				Fix:  "chmod o-rwx " + path + "*",
			})
		}
		return checks
	}
	source, err := dsn.Parse(c.Database)
	if err != nil {
		return nil // it was refused before
	}
	mode, local := source.TLSMode(), source.IsLocal()
	return []Check{{
		Name: "database TLS", OK: local || strings.HasPrefix(mode, "verify-") || mode == "require",
		Flag: "--insecure-database", Accepted: c.InsecureDatabase,
		Good: "connections to Postgres are encrypted, or stay on this host",
		Bad:  "connections to Postgres on another host may be unencrypted",
		Fix:  "take sslmode out of --database, or set it to verify-full",
	}, {
		Name: "database name", OK: local || mode == "verify-full", Advice: true,
		Good: "no other server can pose as Postgres",
		Bad:  "the certificate of Postgres is not checked",
		Fix:  "set sslmode=verify-full in --database, and sslrootcert if its certificate needs one",
	}, {
		Name: "database URL", OK: len(source.Ignored) == 0, Advice: true,
		Good: "each parameter has an effect",
		Bad:  "these parameters have no effect here: " + strings.Join(source.Ignored, ", "),
		Fix:  "take them out of --database",
	}}
}

// onLocalDisk judges the file system of an SQLite database by the name of its network, if any.
func onLocalDisk(network string, accepted bool) Check {
	return Check{
		Name: "storage", OK: network == "", Flag: "--insecure-storage", Accepted: accepted,
		Good: "SQLite is on a file system of this host",
		Bad:  "SQLite is on a network file system, " + network + ", where its locks may not hold",
		Fix:  "name a file on a local disk with --database, or use Postgres",
	}
}

func servesExplorer(c *config.Config) bool { return c.Explorer || !c.Production }

// message is the text of an error, if there is one.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
