// Package config owns the settings: one struct, every field a flag and an environment variable
// GRAPHWARDEN_…, with its default and its help. It checks them all at once and prints no secret.
package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/graphwarden/graphwarden/internal/dsn"
	"github.com/graphwarden/graphwarden/internal/secret"
)

// Lines are values that may themselves hold commas: each its own flag, or a line of the variable. The type has a
// name, or --help would print the line break after the placeholder.
type Lines []string

// filled are the values that are not blank: a variable made from a file ends in a line break.
func (l Lines) filled() []string {
	return slices.DeleteFunc(slices.Clone(l), func(line string) bool { return secret.Trim(line) == "" })
}

// Storage says where the data is; every verb of the command line takes it.
type Storage struct {
	Database       string `default:"sqlite:data/graphwarden.db" help:"sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for several replicas."`
	DatabasePooler bool   `help:"The database is behind a transaction pooler: no prepared statements, no settings of the connection."`
	DatabaseConns  int    `default:"16" help:"The most connections to the database."`
	Secret         string `placeholder:"TEXT" help:"The one secret that all keys are derived from, at least 32 bytes, the same on every replica (try: openssl rand -base64 33). With SQLite it is made once, in a file beside the database."`
	AcceptSecret   Lines  `sep:"\n" placeholder:"TEXT" help:"A secret that is accepted besides; may be repeated, in the variable one a line. To change the secret, first accept the new one everywhere, then make it --secret and accept the old one."`
}

// Tokens says how tokens are made and how long things live.
type Tokens struct {
	Algorithm      string        `default:"ES256" enum:"ES256,EdDSA,RS256,HS256" help:"How access tokens are signed: ${enum}."`
	Issuer         string        `placeholder:"URL" help:"The iss of access tokens; the public URL if not given."`
	Audience       string        `placeholder:"URL" help:"The aud of access tokens; the public URL if not given."`
	TokenType      string        `default:"at+jwt" enum:"at+jwt,JWT" help:"The typ header of access tokens: ${enum}. Use JWT for resource servers that refuse at+jwt (RFC 9068), such as Spring Security by default."`
	AccessLife     time.Duration `default:"15m" help:"Life of an access token, at most 1h."`
	KeyLife        time.Duration `default:"2160h" help:"Age at which the signing key is replaced."`
	KeyOverlap     time.Duration `default:"1h" help:"How long a signing key is published before it signs; caches of the key set are told to keep it for less."`
	SessionIdle    time.Duration `default:"720h" help:"A session ends when it was not refreshed for so long."`
	SessionLife    time.Duration `default:"2160h" help:"Every session ends so long after its sign-in."`
	AuditLife      time.Duration `default:"4320h" help:"Entries of the audit log are kept so long."`
	ClockSkew      time.Duration `default:"30s" help:"Tokens are refused and not issued while this machine's clock and the database's are further apart, 5s to 12h."`
	RefreshGrace   time.Duration `default:"10s" help:"How long a refresh token that was just used gets the same successor again."`
	BcryptCost     int           `default:"12" help:"Cost of password hashes, 4 to 16; below 12 for tests only."`
	PasswordMin    int           `default:"8" help:"The fewest characters of a new password."`
	PasswordPepper string        `placeholder:"ID:TEXT" help:"A key for password hashes that the database does not hold, after an id of its own. Lost, it takes all passwords along."`
	OldPepper      Lines         `sep:"\n" placeholder:"ID:TEXT" help:"A pepper used before, whose hashes are renewed at login; may be repeated, in the variable one a line."`
}

// Server says how the server listens and what it allows.
type Server struct {
	Listen              string        `default:"127.0.0.1:8080" help:"Where to listen, HOST:PORT."`
	MetricsListen       string        `placeholder:"HOST:PORT" help:"Where to serve /metrics for Prometheus, apart from everything else and with no sign-in; nowhere if not given."`
	PublicURL           string        `name:"public-url" placeholder:"URL" help:"Where clients find the server; http:// or, with a certificate, https:// and the listening address if not given."`
	PathPrefix          string        `placeholder:"PATH" help:"Path below which requests arrive, such as /api, where a proxy in front does not strip it; that of the public URL if not given."`
	Production          bool          `help:"Refuse settings that are unsafe in production."`
	TrustedDocuments    string        `placeholder:"FILE" help:"Run only the operations in this file: a JSON object of ids and documents, as the client preset of graphql-codegen and Relay write it, or a persisted query manifest of Apollo."`
	AllowedOrigins      []string      `placeholder:"ORIGIN" help:"Origins besides the public URL's whose pages may call the server: in full, such as https://app.example.com or capacitor://localhost, then also with cookies, or with one label left open, such as https://*.preview.example.com. Outside production, pages of this machine may call without cookies."`
	Batch               int           `default:"0" help:"Number of operations that one request may hold as a JSON array, at most 100; 0 allows no batches. All of them share the limits of one."`
	AllowedHeaders      []string      `placeholder:"HEADER" help:"Request headers that pages of other origins may send besides the usual; any if not given."`
	Introspection       string        `placeholder:"WHO" help:"Who may read the schema: public, authenticated, a role, or off; public, in production off."`
	Explorer            bool          `help:"Serve GraphiQL at / in production too, once that is accepted as insecure; everywhere else it always is."`
	MaxBody             int64         `default:"1048576" help:"The greatest size of a request's body, in bytes."`
	MemoryLimit         int           `default:"256" placeholder:"MIB" help:"The most resident memory in MiB, at least 128. What does not fit is refused as UNAVAILABLE."`
	StreamsPerAddress   int           `default:"200" help:"The most WebSockets and event streams open from one address, of IPv6 a /64."`
	StreamsPerUser      int           `default:"50" help:"The most WebSockets and event streams open of one user."`
	OperationsPerSocket int           `default:"100" help:"The most operations under way on one WebSocket."`
	OperationTimeout    time.Duration `default:"10s" help:"The most time that a query or mutation may take."`
	IdlePoll            time.Duration `default:"30m" help:"How often a server reads the database that has had no request and no stream for a minute, so that a serverless database can sleep; 0 for as often as with requests. The next request waits for a reading."`
	KeepAlive           time.Duration `default:"120s" help:"How long an idle connection stays open; above the idle time-out of the load balancer in front."`
	StopDelay           time.Duration `default:"1s" help:"How long connections are still accepted after the server was told to stop and turned not ready."`
	DrainTimeout        time.Duration `default:"10s" help:"How long requests and streams under way may still take after that."`
	LogLevel            string        `default:"info" enum:"debug,info,warn,error" help:"The least level of log lines: ${enum}."`
}

// Network says what lies between clients and the server.
type Network struct {
	TrustedProxies []string `placeholder:"CIDR" help:"Addresses or CIDR blocks of the proxies in front, such as 10.0.0.0/8. Where a request comes from is read from their Forwarded and X-Forwarded-For, and from no header of anybody else."`
	TLSCert        string   `name:"tls-cert" placeholder:"FILE" help:"Serve TLS with this certificate and its chain, in PEM. A file that changes is read again."`
	TLSKey         string   `name:"tls-key" placeholder:"FILE" help:"The key of --tls-cert, in PEM."`
}

// Insecure lets single checks of --production pass.
type Insecure struct {
	InsecureSecretFile    bool `help:"In production: keep the secret in a file beside the database. Whoever copies the folder has both, and a lost file ends every session and loses the signing keys."`
	InsecureHTTP          bool `name:"insecure-http" help:"In production: a public URL without TLS. Whoever sits in between reads passwords and tokens."`
	InsecureOrigins       bool `help:"In production: http:// among --allowed-origins. Anyone on the network between a user and such a page can change it, and act as the user."`
	InsecureStorage       bool `help:"In production: SQLite on a network file system. Its locks may not hold, and the database breaks."`
	InsecureDatabase      bool `help:"In production: Postgres on another host without TLS. Whoever sits in between reads its password and all data."`
	InsecureIntrospection bool `help:"In production: show the schema to everybody. Strangers see what there is to attack."`
	InsecureExplorer      bool `help:"In production: serve GraphiQL. One more page to keep safe, on the origin whose pages may use cookies."`
	InsecureBcryptCost    bool `help:"In production: a --bcrypt-cost below 12. Leaked hashes are guessed faster."`
}

// Limits say how often somebody may try. A bucket of N an hour lets N through at once, then one every
// hour/N.
type Limits struct {
	LoginPairLimit       int `default:"20" help:"Attempts in 15 minutes on one e-mail address or username from one address."`
	LoginAccountLimit    int `default:"100" help:"Attempts in 15 minutes on one e-mail address or username from all addresses that its account has not signed in from."`
	LoginAddressLimit    int `default:"100" help:"Attempts in 15 minutes from one address, on whatever accounts."`
	RegisterAddressLimit int `default:"60" help:"New accounts in an hour from one address."`
	RegisterLimit        int `default:"1000" help:"New accounts in an hour from all addresses."`
	RefreshLimit         int `default:"100" help:"Refreshes in a minute of one session."`
	OwnActsLimit         int `default:"60" help:"Changes of one kind in an hour that a user makes to their own account."`
	RefreshInvalidLimit  int `default:"30" help:"Forged refresh tokens in a minute from one address, on one replica."`
	VerifyInvalidLimit   int `default:"600" help:"Tokens in a minute from one address, on one replica, that verifyToken finds not valid."`
}

// Queries say how much one operation may ask for, before it is looked at any closer.
type Queries struct {
	DocumentBytes        int `default:"262144" help:"The most bytes of a document."`
	Tokens               int `default:"2000" help:"The most tokens of a document."`
	Depth                int `default:"20" help:"How deep fields may nest, and fragments within fragments."`
	Fields               int `default:"2000" help:"The most fields of a document; those of a fragment count wherever it is spread."`
	Aliases              int `default:"100" help:"The most aliases of an operation."`
	IntrospectionAliases int `default:"10" help:"The most aliases of an operation on or in introspection."`
	IntrospectionDepth   int `default:"2" help:"How often introspection may go from a type to others; the usual query of tools does once."`
	Repeats              int `default:"50" help:"How often one field may be selected at one place, such as through fragments."`
	RepeatPairs          int `default:"3000" help:"The most pairs that repeated fields of a document make: 50 times one field are 1225."`
	RootFields           int `default:"100" help:"The most fields at the root of an operation."`
	Directives           int `default:"100" help:"The most directives of a document."`
	ElementDirectives    int `default:"5" help:"The most directives of one field, fragment or operation."`
	ListItems            int `default:"20000" help:"The most items that first and last may ask for in one operation, lists within lists multiplied."`
	InputDepth           int `default:"20" help:"How deep lists and objects may nest in an argument or a variable."`
	VariableBytes        int `default:"1048576" help:"The most bytes of texts and numbers in the variables of a request."`
	VariableValues       int `default:"10000" help:"The most values in the variables of a request."`
}

// Config is everything that a server needs.
type Config struct {
	Storage  `embed:"" group:"Storage and the secret:"`
	Server   `embed:"" group:"Server:"`
	Network  `embed:"" group:"Network:"`
	Tokens   `embed:"" group:"Tokens, sessions and passwords:"`
	Limits   `embed:"" group:"How often somebody may try:"`
	Queries  Queries `embed:"" prefix:"max-" group:"How much one operation may ask for:"`
	Insecure `embed:"" group:"What --production lets pass:"`

	// UnknownVariables are the names of variables GRAPHWARDEN_… that are no setting's, for a person to read.
	UnknownVariables []string `kong:"-"`
}

// Complete fills what follows from other settings and returns every problem of form at once; what is well
// formed and unsafe is app.Checks'. hasRole tells
// which roles the schema has.
func (c *Config) Complete(hasRole func(string) bool) []string {
	c.PathPrefix = strings.TrimSuffix(c.PathPrefix, "/")
	if c.PublicURL == "" {
		c.PublicURL = c.LocalURL()
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.PathPrefix == "" {
		c.PathPrefix = c.PublicPath()
	}
	if c.Issuer == "" {
		c.Issuer = c.PublicURL
	}
	if c.Audience == "" {
		c.Audience = c.PublicURL
	}
	if c.Introspection == "" {
		c.Introspection = "public"
		if c.Production {
			c.Introspection = "off"
		}
	}
	return slices.Concat(c.Storage.problems(), c.Tokens.problems(), c.Limits.problems(), c.Queries.problems(), c.Server.problems(hasRole), c.Network.problems())
}

// LocalURL is the public URL of a server that is told none.
func (c *Config) LocalURL() string {
	url := c.Scheme() + "://" + c.Listen
	if pathForm.MatchString(c.PathPrefix) { // else problems names the prefix, not the URL
		url += c.PathPrefix
	}
	return url
}

// check collects a problem where a condition does not hold.
type check []string

func (p *check) need(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

func (s *Storage) problems() []string {
	var p check
	source, err := dsn.Parse(s.Database)
	p.need(err == nil, "%v", err)
	p.need(s.DatabaseConns >= 3, "--database-conns must be at least 3")
	p.need(s.Secret == "" || len(secret.Trim(s.Secret)) >= secret.MinLength, "--secret must have at least %d bytes", secret.MinLength)
	for _, one := range s.AcceptSecret.filled() {
		p.need(len(secret.Trim(one)) >= secret.MinLength, "--accept-secret must have at least %d bytes", secret.MinLength)
	}
	p.need(s.Secret != "" || err != nil || source.Path != "",
		"--secret is needed with Postgres, the same on every replica: make one with `openssl rand -base64 33`")
	return p
}

func (t *Tokens) problems() []string {
	var p check
	p.need(t.AccessLife >= time.Second && t.AccessLife <= time.Hour, "--access-life must be from 1s to 1h")
	p.need(t.KeyOverlap >= time.Minute, "--key-overlap must be at least 1m")
	p.need(t.KeyLife >= 2*t.KeyOverlap, "--key-life must be at least twice --key-overlap")
	p.need(t.RefreshGrace >= 2*time.Second && t.RefreshGrace <= time.Minute,
		"--refresh-grace must be from 2s to 1m: the sight of a new token is written within 1s, and must be before the grace ends")
	p.need(t.ClockSkew >= 5*time.Second && t.ClockSkew <= 12*time.Hour, "--clock-skew must be from 5s to 12h")
	p.need(t.SessionIdle >= time.Minute, "--session-idle must be at least 1m")
	p.need(t.AuditLife >= 24*time.Hour, "--audit-life must be at least 24h")
	p.need(t.SessionLife >= t.SessionIdle, "--session-life must not be below --session-idle")
	p.need(t.BcryptCost >= 4 && t.BcryptCost <= 16, "--bcrypt-cost must be from 4 to 16")
	p.need(t.PasswordMin >= 1 && t.PasswordMin <= 128, "--password-min must be from 1 to 128")
	_, _, err := t.Pepper()
	p.need(err == nil, "--password-pepper must be ID:TEXT with an id of letters and digits and a text of at least %d bytes", secret.MinLength)
	_, err = t.OldPeppers()
	p.need(err == nil, "--old-pepper must be ID:TEXT, as --password-pepper")
	return p
}

func (l *Limits) problems() []string {
	var p check
	for name, limit := range map[string]int{"login-pair": l.LoginPairLimit, "login-account": l.LoginAccountLimit, "login-address": l.LoginAddressLimit,
		"register-address": l.RegisterAddressLimit, "register": l.RegisterLimit, "refresh": l.RefreshLimit, "own-acts": l.OwnActsLimit, "refresh-invalid": l.RefreshInvalidLimit, "verify-invalid": l.VerifyInvalidLimit} {
		p.need(limit >= 1 && limit <= 1_000_000, "--%s-limit must be from 1 to 1000000", name)
	}
	slices.Sort(p)
	return p
}

func (q *Queries) problems() []string {
	var p check
	for name, limit := range map[string]int{"tokens": q.Tokens, "depth": q.Depth, "fields": q.Fields, "aliases": q.Aliases,
		"introspection-aliases": q.IntrospectionAliases, "introspection-depth": q.IntrospectionDepth, "repeats": q.Repeats, "repeat-pairs": q.RepeatPairs, "root-fields": q.RootFields,
		"directives": q.Directives, "element-directives": q.ElementDirectives, "list-items": q.ListItems, "input-depth": q.InputDepth, "variable-values": q.VariableValues} {
		p.need(limit >= 1 && limit <= 1_000_000, "--max-%s must be from 1 to 1000000", name)
	}
	for name, limit := range map[string]int{"document-bytes": q.DocumentBytes, "variable-bytes": q.VariableBytes} {
		p.need(limit >= 1 && limit <= 64<<20, "--max-%s must be from 1 to 67108864", name)
	}
	slices.Sort(p)
	return p
}

var (
	// pathForm is a path that needs no escaping, of segments that no client or proxy resolves.
	pathForm   = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110 section 5.6.2
)

func (s *Server) problems(hasRole func(string) bool) []string {
	var p check
	_, _, err := net.SplitHostPort(s.Listen)
	p.need(err == nil, "--listen must be HOST:PORT")
	_, _, err = net.SplitHostPort(s.MetricsListen)
	p.need(err == nil || s.MetricsListen == "", "--metrics-listen must be HOST:PORT")
	u, err := url.Parse(s.PublicURL)
	p.need(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == "",
		"--public-url must be an http:// or https:// URL")
	p.need(err != nil || pathForm.MatchString(s.PublicPath()), "--public-url must have a path of letters, digits and - . _ ~ only")
	p.need(pathForm.MatchString(s.PathPrefix) || s.PathPrefix == s.PublicPath(), "--path-prefix must be a path such as /api, of letters, digits and - . _ ~")
	for _, name := range s.AllowedHeaders {
		p.need(name == "*" || headerForm.MatchString(name), "--allowed-headers must be names of headers, such as X-Team")
	}
	p.need(slices.Contains([]string{"public", "authenticated", "off"}, s.Introspection) || hasRole(s.Introspection),
		"--introspection must be public, authenticated, off, or a role of the schema")
	p.need(s.MaxBody >= 1024 && s.MaxBody <= 64<<20, "--max-body must be from 1024 to 67108864")
	p.need(s.MemoryLimit >= 128 && s.MemoryLimit <= 1<<20, "--memory-limit must be from 128 to 1048576")
	p.need(s.Batch >= 0 && s.Batch <= 100, "--batch must be from 0 to 100")
	p.need(s.StreamsPerAddress >= 1, "--streams-per-address must be at least 1")
	p.need(s.StreamsPerUser >= 1, "--streams-per-user must be at least 1")
	p.need(s.OperationsPerSocket >= 1, "--operations-per-socket must be at least 1")
	p.need(s.OperationTimeout >= 100*time.Millisecond, "--operation-timeout must be at least 100ms")
	p.need(s.DrainTimeout > 0, "--drain-timeout must be above 0")
	p.need(s.IdlePoll == 0 || s.IdlePoll >= time.Second, "--idle-poll must be 0 or at least 1s")
	p.need(s.StopDelay >= 0, "--stop-delay must not be below 0")
	p.need(s.KeepAlive > 0, "--keep-alive must be above 0")
	return p
}

func (n *Network) problems() []string {
	var p check
	p.need((n.TLSCert == "") == (n.TLSKey == ""), "--tls-cert and --tls-key go together")
	return p
}

// Scheme is that of the URLs that the server itself answers.
func (n *Network) Scheme() string {
	if n.TLSCert != "" {
		return "https"
	}
	return "http"
}

// PublicPath is the path of the public URL, below which clients find everything; empty if that is the root.
func (s *Server) PublicPath() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return "" // problems names it
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}

// IsHTTPS tells whether clients find the server under https, whoever ends the TLS.
func (s *Server) IsHTTPS() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// Pepper returns the id and key of the current pepper; both are empty if there is none.
func (t *Tokens) Pepper() (id, key string, err error) {
	if t.PasswordPepper == "" {
		return "", "", nil
	}
	return splitPepper(secret.Trim(t.PasswordPepper))
}

// OldPeppers returns the keys of earlier peppers by their ids.
func (t *Tokens) OldPeppers() (map[string]string, error) {
	return peppers(t.OldPepper.filled(), secret.Trim)
}

// UntrimmedPeppers returns the keys of all peppers as earlier versions read them, with the line break that they may
// end in; nil if that makes no difference.
func (t *Tokens) UntrimmedPeppers() (map[string]string, error) {
	all := t.OldPepper.filled()
	if t.PasswordPepper != "" {
		all = append(all, t.PasswordPepper)
	}
	if !slices.ContainsFunc(all, func(one string) bool { return secret.Trim(one) != one }) {
		return nil, nil
	}
	return peppers(all, func(one string) string { return strings.TrimLeftFunc(one, unicode.IsSpace) })
}

func peppers(all []string, trim func(string) string) (map[string]string, error) {
	keys := make(map[string]string, len(all))
	for _, one := range all {
		id, key, err := splitPepper(trim(one))
		if err != nil {
			return nil, err
		}
		keys[id] = key
	}
	return keys, nil
}

func splitPepper(s string) (id, key string, err error) {
	id, key, _ = strings.Cut(s, ":")
	odd := strings.ContainsFunc(id, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
	if id == "" || odd || len(key) < secret.MinLength {
		return "", "", fmt.Errorf("not ID:TEXT")
	}
	return id, key, nil
}

// LoadSecret returns the deployment's secret. Where none was given, on SQLite only, it is in a file beside the
// database that its owner alone may read; for a fresh database, which has nothing sealed, it is made once. The
// folder exists.
func (s *Storage) LoadSecret(fresh bool) (*secret.Secret, error) {
	current := s.Secret
	if current == "" {
		var err error
		if current, err = secretFile(s.SecretFile(), fresh); err != nil {
			return nil, err
		}
	}
	return secret.New(current, s.AcceptSecret.filled()...)
}

// SecretFile is where the secret is if none was given.
func (s *Storage) SecretFile() string { return s.SQLitePath() + ".secret" }

// SQLitePath is the file of an SQLite database, else empty.
func (s *Storage) SQLitePath() string {
	source, err := dsn.Parse(s.Database)
	if err != nil {
		return ""
	}
	return source.Path
}

func secretFile(path string, fresh bool) (string, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) && !fresh {
		return "", fmt.Errorf("the secret of this database is gone: %w; put the file back, or give its text with --secret", err)
	}
	if os.IsNotExist(err) {
		if err := secret.WriteFile(path); err != nil {
			return "", fmt.Errorf("cannot write the secret: %w; make its folder writable, or give --secret", err)
		}
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the secret: %w; make it readable for this user, or give --secret", err)
	}
	text := secret.Trim(string(b))
	if len(text) < secret.MinLength {
		return "", fmt.Errorf("%s is too short to be a secret; put back the file as it was, or give its text with --secret", path)
	}
	return text, nil
}
