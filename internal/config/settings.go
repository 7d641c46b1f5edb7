package config

import "time"

// A struct tag cannot be broken into lines. The tag range holds the least and the greatest value of a setting; it is
// checked by Complete and shown by Help.

// Storage says where the data is. Every command takes it.
type Storage struct {
	Database       string `default:"sqlite:data/graphwarden.db" help:"sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for several replicas."`
	DatabasePooler bool   `help:"Work behind a transaction pooler: without prepared statements and session settings."`
	DatabaseConns  int    `default:"16" range:"3.." help:"Maximum number of connections to the database."`
	Secret         string `placeholder:"TEXT" help:"The secret that all keys are derived from, at least 32 bytes, the same on every replica (try: openssl rand -base64 33). With SQLite, the default is a random one, kept in a file beside the database."`
	AcceptSecret   Lines  `sep:"\n" placeholder:"TEXT" help:"A further secret to accept; may be repeated, in the variable one per line. To change the secret, first accept the new one on every replica, then make it --secret and accept the old one."`
}

// Tokens says how tokens are made and how long things live.
type Tokens struct {
	Algorithm         string        `default:"ES256" enum:"ES256,EdDSA,RS256,HS256" help:"Signature algorithm of access tokens: ${enum}."`
	Issuer            string        `placeholder:"URL" help:"Claim iss of access tokens; by default the public URL."`
	Audience          string        `placeholder:"URL" help:"Claim aud of access tokens; by default the public URL."`
	TokenType         string        `default:"at+jwt" enum:"at+jwt,JWT" help:"Header typ of access tokens: ${enum}. Use JWT for resource servers that refuse at+jwt (RFC 9068), such as Spring Security by default."`
	AccessLife        time.Duration `default:"15m" range:"1s..1h" help:"Lifetime of an access token."`
	KeyLife           time.Duration `default:"2160h" help:"Age at which the signing key is replaced, at least twice the overlap."`
	KeyOverlap        time.Duration `default:"1h" range:"1m.." help:"How long a signing key is published before it signs. Caches of the key set keep it for less."`
	SessionIdle       time.Duration `default:"720h" range:"1m.." help:"How long a session lives without a refresh."`
	SessionLife       time.Duration `default:"2160h" help:"Maximum lifetime of a session; not less than the one without a refresh."`
	AuditLife         time.Duration `default:"4320h" range:"24h.." help:"How long entries of the audit log are kept."`
	DeleteGrace       time.Duration `default:"168h" range:"0s..8760h" help:"How long after deleteAccount a user can sign in to keep the account; 0 deletes it at once."`
	ClockSkew         time.Duration `default:"30s" range:"5s..12h" help:"Maximum difference between the clocks of this machine and the database. Beyond it, tokens are neither issued nor accepted."`
	RefreshGrace      time.Duration `default:"10s" range:"2s..1m" help:"How long a refresh token that was just used gets the same successor again."`
	BcryptCost        int           `default:"12" range:"4..16" help:"Cost of password hashes; use less than 12 in tests only."`
	PasswordMin       int           `default:"8" range:"1..128" help:"Minimum number of characters in a new password."`
	BreachedPasswords string        `placeholder:"FILE" help:"Refuse new passwords that are in this list, made by graphwarden breached build."`
	PasswordPepper    string        `placeholder:"ID:TEXT" help:"A key for password hashes that is not in the database, after an id of its own. If it is lost, all passwords are."`
	OldPepper         Lines         `sep:"\n" placeholder:"ID:TEXT" help:"An earlier pepper, whose hashes are renewed at login; may be repeated, in the variable one per line."`
}

// Factors says how second factors work.
type Factors struct {
	RequireMFA []string `name:"require-mfa" placeholder:"ROLE" help:"Roles that need a second factor. Users with such a role can only set one up, and prove it, until their session has proved it."`
	TOTPIssuer string   `name:"totp-issuer" placeholder:"NAME" help:"Name of the site that authenticator apps show; by default the host of the public URL."`
}

// Server says how the server listens and what it allows.
type Server struct {
	Listen              string        `default:"127.0.0.1:8080" help:"Address to listen on, HOST:PORT."`
	MetricsListen       string        `placeholder:"HOST:PORT" help:"Address to serve /metrics on for Prometheus, separately and without authentication; by default none."`
	PublicURL           string        `name:"public-url" placeholder:"URL" help:"URL at which clients find the server; by default the listening address, with https:// if there is a certificate."`
	PathPrefix          string        `placeholder:"PATH" help:"Path below which requests arrive, such as /api, if a proxy in front does not strip it; by default that of the public URL."`
	Production          bool          `help:"Refuse settings that are unsafe in production."`
	TrustedDocuments    string        `placeholder:"FILE" help:"Run only the operations in this file: a JSON object of ids and documents, as written by the client preset of graphql-codegen and by Relay, or a persisted query manifest of Apollo."`
	AllowedOrigins      []string      `placeholder:"ORIGIN" help:"Origins other than the public URL's whose pages may call the server: in full, such as https://app.example.com or capacitor://localhost, then also with cookies, or with one wildcard label, such as https://*.preview.example.com. Outside production, pages of this machine may call without cookies."`
	Batch               int           `default:"0" range:"0..100" help:"Number of operations that one request may hold as a JSON array; 0 allows no batches. All of them share the limits of one."`
	AllowedHeaders      []string      `placeholder:"HEADER" help:"Request headers that pages of other origins may send besides the usual ones; by default any."`
	Introspection       string        `placeholder:"WHO" help:"Who may read the schema: public, authenticated, a role, or off. The default is public, in production off."`
	Explorer            bool          `help:"Serve GraphiQL at / in production too, once that is accepted as insecure. Outside production it is always served."`
	MaxBody             int64         `default:"1048576" range:"1024..67108864" help:"Maximum size of a request body in bytes."`
	MemoryLimit         int           `default:"256" range:"128..1048576" placeholder:"MIB" help:"Maximum resident memory in MiB. Requests that do not fit are refused as UNAVAILABLE."`
	StreamsPerAddress   int           `default:"200" range:"1.." help:"Maximum number of WebSockets and event streams open from one address (IPv6: one /64)."`
	StreamsPerUser      int           `default:"50" range:"1.." help:"Maximum number of WebSockets and event streams that one user has open."`
	OperationsPerSocket int           `default:"100" range:"1.." help:"Maximum number of operations running on one WebSocket."`
	OperationTimeout    time.Duration `default:"10s" range:"100ms.." help:"Maximum duration of a query or mutation."`
	IdlePoll            time.Duration `default:"30m" help:"How often the database is read after a minute without requests and streams, so that a serverless database can sleep; at least 1s, or 0 for as often as with requests. The next request waits for a read."`
	UserView            string        `default:"on" enum:"on,off" help:"Keep users that are read again and again in memory. Changes are in force at once on the replica that makes them, and on others within 1s: ${enum}."`
	KeepAlive           time.Duration `default:"120s" range:"1ms.." help:"How long an idle connection stays open; longer than the idle timeout of a load balancer in front."`
	StopDelay           time.Duration `default:"1s" range:"0s.." help:"How long a stopping server accepts connections after it has turned not ready."`
	DrainTimeout        time.Duration `default:"10s" range:"1ms.." help:"How long requests and streams may take to end after that."`
	LogLevel            string        `default:"info" enum:"debug,info,warn,error" help:"Lowest level of log lines: ${enum}."`
}

// Network says what lies between clients and the server.
type Network struct {
	TrustedProxies []string `placeholder:"CIDR" help:"Addresses or CIDR blocks of the proxies in front, such as 10.0.0.0/8. Only their Forwarded and X-Forwarded-For headers are believed."`
	TLSCert        string   `name:"tls-cert" placeholder:"FILE" help:"Serve TLS with this certificate and its chain, in PEM. The file is read again when it changes."`
	TLSKey         string   `name:"tls-key" placeholder:"FILE" help:"Key of --tls-cert, in PEM."`
}

// Mail says how mails are sent.
type Mail struct {
	SMTPURL           SMTPURL  `name:"smtp-url" placeholder:"URL" help:"Mail server: smtp://USER:PASSWORD@HOST:587, or smtps:// for TLS from the first byte. Parameters: tls=starttls, implicit or none; auth=auto, plain, login, cram-md5 or xoauth2. Without it, mails are off, outside production logged."`
	MailFrom          string   `placeholder:"SENDER" help:"Sender of all mails, such as 'Example <no-reply@example.com>'. It is needed with a mail server."`
	MailTemplates     string   `placeholder:"DIR" help:"Folder with your own mail templates and languages; see docs/MAIL.md."`
	LinksBase         string   `placeholder:"URL" help:"Page that the links in mails open, such as https://app.example.com/#{flow}={token}; by default the public URL with #{flow}={token}. The token must be after the #, which browsers do not send to servers."`
	Register          string   `placeholder:"MODE" help:"Registration of new accounts: open, closed, invite (by administrators only), or silent, which answers all addresses alike and creates the account when its address is verified. The default is silent with --smtp-url, open without."`
	EmailVerification string   `placeholder:"MODE" help:"Verification of e-mail addresses: off, optional, or required before the first sign-in. The default is optional with --smtp-url, off without."`
	SignIn            []string `default:"password" placeholder:"METHOD" help:"Ways to sign in: password, or password,code, which also sends codes by mail."`
}

// Passkeys says where passkeys work.
type Passkeys struct {
	WebAuthnRPID    string   `name:"webauthn-rp-id" placeholder:"DOMAIN" help:"Domain that passkeys belong to, such as example.com for pages of app.example.com too; by default that of the public URL. A change makes all passkeys useless."`
	WebAuthnOrigins []string `name:"webauthn-origins" placeholder:"ORIGIN" help:"Origins of the pages and apps that use passkeys, such as https://app.example.com or android:apk-key-hash:HASH; by default those of the public URL and of --allowed-origins."`
}

// Federation says with which other providers users sign in.
type Federation struct {
	Provider []Provider `sep:"\n" placeholder:"TEXT" help:"A provider to sign in with, as a name and settings: 'google client-id=… client-secret=…', or the same with github, gitlab, microsoft, apple or, with issuer=URL, any name; may be repeated, in the variable one per line. See docs/FEDERATION.md."`
	ReturnTo []string   `placeholder:"URL" help:"Address of a native application to which a sign-in with a provider may return, such as com.example.app:/signed-in, or http://127.0.0.1/signed-in for any port. Pages of the public URL and of allowed origins that are listed in full need no entry."`
}

// Insecure accepts single risks that --production refuses.
type Insecure struct {
	InsecureSecretFile    bool `help:"In production, keep the secret in a file beside the database. A copy of the folder contains both, and losing the file ends every session and loses the signing keys."`
	InsecureHTTP          bool `name:"insecure-http" help:"In production, accept a public URL without TLS. Anyone on the network can read passwords and tokens."`
	InsecureOrigins       bool `help:"In production, accept allowed origins with http://. Anyone on the network between a user and such a page can change it, and act as the user."`
	InsecureStorage       bool `help:"In production, accept SQLite on a network file system. Its locks may not hold, and then the database is corrupted."`
	InsecureDatabase      bool `help:"In production, accept Postgres on another host without TLS. Anyone on the network can read its password and all data."`
	InsecureSMTP          bool `name:"insecure-smtp" help:"In production, accept a mail server on another host without TLS. Anyone on the network can read its password and the links and codes of all mails."`
	InsecureIntrospection bool `help:"In production, show the schema to everyone. It helps attackers find targets."`
	InsecureExplorer      bool `help:"In production, serve GraphiQL: one more page to keep safe, on the origin whose pages may use cookies."`
	InsecureBcryptCost    bool `help:"In production, accept a --bcrypt-cost below 12. Leaked hashes are guessed faster."`
}

// Limits say how often callers may try.
type Limits struct {
	LoginPairLimit       Rate `default:"20/15m" range:"1..1000000" help:"Login attempts on one e-mail address or username from one address."`
	LoginAccountLimit    Rate `default:"100/15m" range:"1..1000000" help:"Login attempts on one e-mail address or username from all addresses that its account has not signed in from."`
	LoginAddressLimit    Rate `default:"100/15m" range:"1..1000000" help:"Login attempts from one address, on all accounts."`
	RegisterAddressLimit Rate `default:"60/1h" range:"1..1000000" help:"New accounts from one address."`
	RegisterLimit        Rate `default:"1000/1h" range:"1..1000000" help:"New accounts from all addresses."`
	RefreshLimit         Rate `default:"100/1m" range:"1..1000000" help:"Refreshes of one session."`
	OwnActsLimit         Rate `default:"60/1h" range:"1..1000000" help:"Changes of each kind that a user makes to their own account."`
	MailPaceLimit        Rate `default:"1/1m" range:"1..1000000" help:"Mails that callers may request for one address, in the short run."`
	MailRecipientLimit   Rate `default:"5/1h" range:"1..1000000" help:"Mails that callers may request for one address, in the long run."`
	MailRequestLimit     Rate `default:"30/1h" range:"1..1000000" help:"Mails that callers request from one network address."`
	RedeemLimit          Rate `default:"60/15m" range:"1..1000000" help:"Links and codes redeemed from one network address."`
	PasskeyBeginLimit    Rate `default:"600/1h" range:"1..1000000" help:"Sign-ins with a passkey that one network address begins. Pages begin one each time they show a sign-in form."`
	SecondFactorLimit    Rate `default:"8/1h" range:"1..1000000" help:"Attempts to prove a second factor of one account, from its known addresses and from all others each. An attempt guesses a code with a probability of 3 in 1,000,000."`
	RefreshInvalidLimit  Rate `default:"30/1m" range:"1..1000000" help:"Forged refresh tokens from one address, on each replica."`
	VerifyInvalidLimit   Rate `default:"600/1m" range:"1..1000000" help:"Invalid tokens given to verifyToken from one address, on each replica."`
	PasswordRatingLimit  Rate `default:"120/1m" range:"1..1000000" help:"Passwords rated by passwordStrength from one address, on each replica."`
}

// Rates returns the limits by the names of their buckets in package throttle.
func (l *Limits) Rates() map[string]Rate {
	return map[string]Rate{
		"login-pair":       l.LoginPairLimit,
		"login-account":    l.LoginAccountLimit,
		"login-address":    l.LoginAddressLimit,
		"register-address": l.RegisterAddressLimit,
		"register":         l.RegisterLimit,
		"refresh":          l.RefreshLimit,
		"own-acts":         l.OwnActsLimit,
		"mail-pace":        l.MailPaceLimit,
		"mail-recipient":   l.MailRecipientLimit,
		"mail-request":     l.MailRequestLimit,
		"redeem":           l.RedeemLimit,
		"passkey-begin":    l.PasskeyBeginLimit,
		"second-factor":    l.SecondFactorLimit,
		"refresh-invalid":  l.RefreshInvalidLimit,
		"verify-invalid":   l.VerifyInvalidLimit,
		"password-rating":  l.PasswordRatingLimit,
	}
}

// Queries say how much one operation may cost. They are checked before it runs.
type Queries struct {
	DocumentBytes        int `default:"262144" range:"1..67108864" help:"Maximum size of a document in bytes."`
	Tokens               int `default:"2000" range:"1..1000000" help:"Maximum number of tokens in a document."`
	Depth                int `default:"20" range:"1..1000000" help:"Maximum nesting of fields, and of fragments within fragments."`
	Fields               int `default:"2000" range:"1..1000000" help:"Maximum number of fields in a document. Those of a fragment count each time it is spread."`
	Aliases              int `default:"100" range:"1..1000000" help:"Maximum number of aliases in an operation."`
	IntrospectionAliases int `default:"10" range:"1..1000000" help:"Maximum number of aliases on or in introspection."`
	IntrospectionDepth   int `default:"2" range:"1..1000000" help:"Maximum number of steps from type to type in introspection; the usual query of tools takes one."`
	Repeats              int `default:"50" range:"1..1000000" help:"Maximum number of times that one field is selected in one place, for instance through fragments."`
	RepeatPairs          int `default:"3000" range:"1..1000000" help:"Maximum number of pairs of repeated fields in a document: 50 times one field make 1225."`
	RootFields           int `default:"100" range:"1..1000000" help:"Maximum number of root fields in an operation."`
	Directives           int `default:"100" range:"1..1000000" help:"Maximum number of directives in a document."`
	ElementDirectives    int `default:"5" range:"1..1000000" help:"Maximum number of directives on one field, fragment or operation."`
	ListItems            int `default:"20000" range:"1..1000000" help:"Maximum number of items that first and last request in one operation; nested lists multiply."`
	InputDepth           int `default:"20" range:"1..1000000" help:"Maximum nesting of lists and objects in an argument or a variable."`
	VariableBytes        int `default:"1048576" range:"1..67108864" help:"Maximum number of bytes in the strings and numbers of a request's variables."`
	VariableValues       int `default:"10000" range:"1..1000000" help:"Maximum number of values in the variables of a request."`
}

// Config is everything that a server needs.
type Config struct {
	Storage    `embed:"" group:"Storage and the secret:"`
	Server     `embed:"" group:"Server:"`
	Network    `embed:"" group:"Network:"`
	Mail       `embed:"" group:"Mail:"`
	Federation `embed:"" group:"Sign-in with other providers:"`
	Passkeys   `embed:"" group:"Passkeys:"`
	Tokens     `embed:"" group:"Tokens, sessions and passwords:"`
	Factors    `embed:"" group:"Second factors:"`
	Limits     `embed:"" group:"Rate limits, as attempts/time: 20/15m lets 20 attempts through at once, then one every 45s:"`
	Queries    Queries `embed:"" prefix:"max-" group:"Limits of one operation:"`
	Insecure   `embed:"" group:"Accepted risks in production:"`

	// UnknownVariables are the names of environment variables GRAPHWARDEN_… that belong to no setting.
	UnknownVariables []string `kong:"-"`
}
