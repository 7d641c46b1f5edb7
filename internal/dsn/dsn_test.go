package dsn_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

func TestPathsOfSQLite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"sqlite:data/test.db":       "data/test.db",
		"sqlite:/abs/test.db":       "/abs/test.db",
		"sqlite:///abs/test.db":     "/abs/test.db",
		"sqlite:////abs/test.db":    "/abs/test.db",
		"sqlite:50%?mode=ro#ü.db":   "50%?mode=ro#ü.db",
		"sqlite:./test.db\n":        "./test.db",
		"sqlite:data/test.db\r\n":   "data/test.db",
		"sqlite: a name with space": " a name with space",
	} {
		source, err := dsn.Parse(text)
		if err != nil || source.Path != want {
			t.Errorf("%q: %+v, %v; want the path %s", text, source, err, want)
		}
	}
	for _, text := range []string{
		"sqlite:", "sqlite::memory:", "sqlite://", "sqlite:///",
		"sqlite:file:test.db", "sqlite://test.db", "sqlite://user:pw@host/test.db",
	} {
		if source, err := dsn.Parse(text); err == nil || !strings.Contains(err.Error(), "sqlite:") {
			t.Errorf("%q: %+v, %v", text, source, err)
		}
	}
}

// driver returns the URL for the driver.
func driver(t *testing.T, text string) (*url.URL, *dsn.Source) {
	t.Helper()
	source, err := dsn.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	u, err := url.Parse(source.Driver(nil))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return u, source
}

func TestURLsOfProvidersAndOtherClients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       url.Values
		ignored    []string
		pooler     bool
	}{
		{
			name:    "Neon",
			text:    "postgresql://u:p@ep-x-pooler.aws.neon.tech/db?sslmode=require&channel_binding=require",
			want:    url.Values{"host": {"ep-x-pooler.aws.neon.tech"}, "sslmode": {"require"}},
			ignored: []string{"channel_binding"},
		},
		{
			name: "Neon without SNI",
			text: "postgres://u:p@ep-x.neon.tech/db?options=endpoint%3Dep-x",
			want: url.Values{"host": {"ep-x.neon.tech"}, "sslmode": {"require"}, "options": {"endpoint=ep-x"}},
		},
		{
			name:    "Supabase for Prisma",
			text:    "postgres://postgres.ref:p@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
			want:    url.Values{"host": {"aws-0-eu.pooler.supabase.com"}, "port": {"6543"}, "sslmode": {"require"}},
			ignored: []string{"connection_limit"},
			pooler:  true,
		},
		{
			name:    "Supabase for Vercel",
			text:    "postgres://u:p@db.example.com:5432/postgres?sslmode=require&supa=base-pooler.x",
			want:    url.Values{"host": {"db.example.com"}, "port": {"5432"}, "sslmode": {"require"}},
			ignored: []string{"supa"},
		},
		{
			name: "Prisma's schema",
			text: "postgres://u:p@localhost/db?schema=app&pgbouncer=false",
			want: url.Values{"host": {"localhost"}, "sslmode": {"disable"}, "search_path": {"app"}},
		},
		{
			name: "Prisma's default schema",
			text: "postgres://u:p@localhost/db?schema=public",
			want: url.Values{"host": {"localhost"}, "sslmode": {"disable"}},
		},
		{
			name: "Heroku for node-postgres",
			text: "postgres://u:p@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d?ssl=true&sslmode=no-verify",
			want: url.Values{"host": {"ec2-1-2-3-4.compute-1.amazonaws.com"}, "port": {"5432"}, "sslmode": {"require"}},
		},
		{
			name: "RDS",
			text: "postgres://u:p@x.rds.amazonaws.com:5432/d?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem",
			want: url.Values{
				"host":        {"x.rds.amazonaws.com"},
				"port":        {"5432"},
				"sslmode":     {"verify-full"},
				"sslrootcert": {"/etc/ssl/rds.pem"},
			},
		},
		{
			name: "the roots of the system",
			text: "postgres://u:p@db.example.com/d?sslrootcert=system",
			want: url.Values{"host": {"db.example.com"}, "sslmode": {"verify-full"}, "sslrootcert": {"system"}},
		},
		{
			name: "CockroachDB",
			text: "postgresql://u:p@free-tier.cockroachlabs.cloud:26257/defaultdb?sslmode=verify-full&options=--cluster%3Dx-1",
			want: url.Values{
				"host":    {"free-tier.cockroachlabs.cloud"},
				"port":    {"26257"},
				"sslmode": {"verify-full"},
				"options": {"--cluster=x-1"},
			},
		},
		{
			name: "keep-alives of libpq",
			text: "postgres://u:p@localhost/d?keepalives=1&keepalives_idle=30&tcp_user_timeout=9000&gssencmode=disable" +
				"&channel_binding=prefer",
			want:    url.Values{"host": {"localhost"}, "sslmode": {"disable"}},
			ignored: []string{"keepalives", "keepalives_idle", "tcp_user_timeout"},
		},
		{
			name:    "pgx",
			text:    "postgres://u:p@localhost/d?pool_max_conns=10&default_query_exec_mode=exec&application_name=x",
			want:    url.Values{"host": {"localhost"}, "sslmode": {"disable"}, "application_name": {"x"}},
			ignored: []string{"default_query_exec_mode", "pool_max_conns"},
		},
		{
			name: "several hosts",
			text: "postgres://u:p@h1:5433,h2,[fd00::1]:5434/d",
			want: url.Values{
				"host":                 {"h1,h2,fd00::1"},
				"port":                 {"5433,,5434"},
				"sslmode":              {"require"},
				"target_session_attrs": {"read-write"},
			},
		},
		{
			name: "several hosts, one port",
			text: "postgres://u:p@/d?host=h1,h2&port=5433&target_session_attrs=primary",
			want: url.Values{"host": {"h1,h2"}, "port": {"5433"}, "sslmode": {"require"}, "target_session_attrs": {"primary"}},
		},
		{
			name: "the folder of a socket as a host",
			text: "postgres://u@%2Frun%2Fpostgresql/d",
			want: url.Values{"host": {"/run/postgresql"}, "sslmode": {"disable"}},
		},
		{
			name: "a socket without a file",
			text: "postgres:///d?host=@postgres",
			want: url.Values{"host": {"@postgres"}, "sslmode": {"disable"}},
		},
		{
			name: "a variable made from a file",
			text: "postgres://u:p@localhost:5432/d\r\n",
			want: url.Values{"host": {"localhost"}, "port": {"5432"}, "sslmode": {"disable"}},
		},
		{
			name: "no host",
			text: "postgresql:///",
			want: url.Values{"host": {"localhost"}, "sslmode": {"disable"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, source := driver(t, test.text)
			if diff := cmp.Diff(test.want, u.Query()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.ignored, source.Ignored); diff != "" {
				t.Errorf("ignored (-want +got):\n%s", diff)
			}
			if source.Pooler != test.pooler || source.Path != "" || u.Host != "" {
				t.Errorf("%+v, host %q", source, u.Host)
			}
		})
	}
}

func TestUserPasswordAndNameAreDecoded(t *testing.T) {
	t.Parallel()
	u, _ := driver(t, "postgres://user%40server:p%2F%40%23%3F%25:w@db.example.com/my%2Fdb")
	password, _ := u.User.Password()
	if u.User.Username() != "user@server" || password != "p/@#?%:w" || u.Path != "/my/db" {
		t.Errorf("%q, %q, %q", u.User.Username(), password, u.Path)
	}
}

func TestDefaultsDoNotReplaceParameters(t *testing.T) {
	t.Parallel()
	source, err := dsn.Parse("postgres://u:p@localhost/d?a=1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(source.Driver(map[string]string{"a": "2", "b": "3"}))
	if err != nil || u.Query().Get("a") != "1" || u.Query().Get("b") != "3" {
		t.Errorf("%s, %v", u.RawQuery, err)
	}
}

func TestHostAndTLSMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		host, mode string
		local      bool
	}{
		"postgres://u:p@db.example.com/x":                    {"db.example.com", "require", false},
		"postgresql://u:p@10.0.0.5:5433/x?sslmode=prefer":    {"10.0.0.5:5433", "prefer", false},
		"postgres://u:p@localhost/x?sslmode=allow":           {"localhost", "allow", true},
		"postgres://u:p@127.0.0.2/x":                         {"127.0.0.2", "disable", true},
		"postgres://u:p@[::1]:5432/x":                        {"[::1]:5432", "disable", true},
		"postgres:///x?host=/run/postgresql&port=5433":       {"/run/postgresql", "disable", true},
		"postgres://localhost/x?host=db&sslmode=verify-full": {"db", "verify-full", false},
		"postgres://u:p@localhost,db:1/x":                    {"localhost,db:1", "require", false},
		"postgres:///x?host=localhost&hostaddr=10.0.0.5":     {"10.0.0.5", "require", false},
		"postgres:///x?hostaddr=127.0.0.1":                   {"127.0.0.1", "disable", true},
	} {
		source, err := dsn.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if source.Host() != want.host || source.TLSMode() != want.mode || source.IsLocal() != want.local {
			t.Errorf("%s: %s, %s, local: %t", text, source.Host(), source.TLSMode(), source.IsLocal())
		}
	}
}

// The mark is part of a password that is not percent-encoded, or of another invalid value.
func TestErrorsDoNotRepeatTheURL(t *testing.T) {
	t.Parallel()
	const mark = "hunterxyzzy"
	for _, text := range []string{
		"postgres://u:" + mark + "/horse@db.example.com/x",
		"postgres://u:4711/" + mark + "@db.example.com/x",
		"postgres://u:pass@" + mark + "/horse@db.example.com/x",
		"postgres://u:pass@" + mark + "@db.example.com/x",
		"postgres://u:pass#" + mark + "@db.example.com/x",
		"postgres://u:4711#" + mark + "@db.example.com/x",
		"postgres://u:pass?" + mark + "@db.example.com/x",
		"postgres://u:4711?a=" + mark + "@db.example.com/x",
		"postgres://u:pa@ss?a=" + mark + "@db.example.com/x",
		"postgres://u:pass%" + mark + "@db.example.com/x",
		"postgres://u:pass%zz" + mark + "@db.example.com/x",
		"postgres://u:pass\\" + mark + "@db.example.com/x",
		"postgres://u:pass[" + mark + "]@db.example.com/x",
		"postgres://u:pass " + mark + "@db.example.com/x",
		"postgres://u:pass\n" + mark + "@db.example.com/x",
		"postgres://u:pässwörd" + mark + "@db.example.com/x",
		"postgres://:4711/" + mark + "@db.example.com/x",
		"postgres:///u:" + mark + "@db.example.com/x",
		"postgres:/u:" + mark + "@db.example.com/x",
		"postgres:u:" + mark + "@db.example.com/x",
		"postgres://u:4711/" + mark + "/x",
		"postgres://u@db.example.com:" + mark + "/x",
		"postgres://u@db.example.com:99999" + mark + "/x",
		"postgres://u@" + mark + "!/x",
		"postgres://u@-" + mark + "/x",
		"postgres://u@" + mark + ":1:2/x",
		"postgres://u@[" + mark + "]/x",
		"postgres://u@[::1" + mark + "/x",
		"postgres://u@" + mark + "%zz/x",
		"postgres://u:p@db.example.com/x?password=a&" + mark,
		"postgres://u:p@db.example.com/x?password=a#" + mark,
		"postgres://u:p@db.example.com/x?a%40" + mark + "=1",
		"postgres://u:p@db.example.com/x?host=" + mark + "!",
		"postgres://u:p@db.example.com/x?hostaddr=" + mark,
		"postgres://u:p@db.example.com/x?port=" + mark,
		"postgres://u:p@db.example.com/x?sslmode=" + mark,
		"postgres://u:p@db.example.com/x?ssl=" + mark,
		"postgres://u:p@db.example.com/x?pgbouncer=" + mark,
		"postgres://u:p@db.example.com/x?connect_timeout=" + mark,
		"postgres://u:p@db.example.com/x?target_session_attrs=" + mark,
		"postgres://u:p@db.example.com/x?sslpassword=" + mark,
		"mysql://u:" + mark + "@db.example.com/x",
		"jdbc:postgresql://db.example.com/x?password=" + mark,
		"host=db.example.com password=" + mark,
		"sqlite://u:" + mark + "@db.example.com/x",
		mark,
	} {
		source, err := dsn.Parse(text)
		if err == nil {
			t.Errorf("%s is accepted, with host %s", text, source.Host())
		} else if strings.Contains(err.Error(), mark) || !strings.Contains(err.Error(), "--database") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnsupportedParametersAreRefused(t *testing.T) {
	t.Parallel()
	for parameter, name := range map[string]string{
		"gssencmode=require": "gssencmode", "require_auth=scram-sha-256": "require_auth", "sslcrl=/crl.pem": "sslcrl",
		"requirepeer=postgres": "requirepeer", "sslcertmode=require": "sslcertmode", "replication=database": "replication",
		"target_session_attrs=standby": "target_session_attrs", "target_session_attrs=read-only": "target_session_attrs",
	} {
		_, err := dsn.Parse("postgres://u:p@localhost/x?" + parameter)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", parameter, err)
		}
	}
	const harmless = "gssencmode=prefer&sslcertmode=allow&sslcrl=&target_session_attrs=any"
	if _, err := dsn.Parse("postgres://u:p@localhost/x?" + harmless); err != nil {
		t.Errorf("harmless values: %v", err)
	}
}
