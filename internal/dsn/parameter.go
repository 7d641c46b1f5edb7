package dsn

import (
	"fmt"
	"slices"
	"strings"
)

// aliases are names that other clients have for what the driver knows by another.
var aliases = map[string]string{"schema": "search_path", "currentSchema": "search_path"}

// ignored are parameters of libpq that do nothing here, and those with which other clients tune themselves. The
// server probes its connections by itself, --database-conns bounds them, and channel_binding=require, which
// providers have in the URLs that people copy, protects from what sslmode=verify-full protects from too.
var ignored = strings.Fields(`channel_binding sslcompression
	keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout tcpKeepAlive
	connection_limit pool pool_size pool_timeout pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime
	pool_max_conn_lifetime_jitter pool_max_conn_idle_time pool_health_check_period max_overflow pool_recycle pool_pre_ping
	socket_timeout socketTimeout loginTimeout command_timeout idleTimeoutMillis conn_max_age reaping_frequency checkout_timeout
	statement_cache_size statement_cache_capacity description_cache_capacity statement_cache_mode default_query_exec_mode
	prepared_statement_cache_size prepared_statements prepareThreshold preparedStatementCacheQueries simple_protocol
	sslaccept uselibpqcompat sslfactory encoding supa workaround`)

// demands are parameters that ask for a protection or a mode that the driver does not have, each with the values
// that ask for nothing. Without it the connection would be less safe than its operator believes.
var demands = map[string][]string{
	"gssencmode": {"disable", "prefer"}, "gssdelegation": {"0"}, "sslcertmode": {"allow"}, "requiressl": {"0"},
	"replication": {"0", "false", "off", "no"}, "require_auth": nil, "requirepeer": nil, "sslcrl": nil, "sslcrldir": nil,
	"sslpassword": nil, "sslkeylogfile": nil, "scram_client_key": nil, "scram_server_key": nil, "servicefile": nil,
	"oauth_issuer": nil, "oauth_client_id": nil, "oauth_client_secret": nil, "oauth_scope": nil,
}

// translate turns parameters of libpq and of other clients into those of the driver. Others stay as they are: they
// are settings of the session, which Postgres knows or refuses by name.
func (s *Source) translate() error {
	for from, to := range aliases {
		if value := s.params.Get(from); value != "" && value != "public" { // public is the default, and poolers refuse settings
			s.setDefault(to, value)
		}
		s.params.Del(from)
	}
	if err := s.translateTLS(); err != nil {
		return err
	}
	switch s.params.Get("pgbouncer") {
	case "true", "1":
		s.Pooler = true
	case "", "false", "0":
	default:
		return wrongValue("pgbouncer", "true or false")
	}
	s.params.Del("pgbouncer")
	for name, harmless := range demands {
		value := s.params.Get(name)
		if value != "" && !slices.Contains(harmless, value) {
			return fmt.Errorf("--database: the parameter %s asks for what this server's driver cannot do: take it out, or do the same by other means", name)
		}
		s.params.Del(name)
	}
	for _, name := range ignored {
		// By default nothing binds the channel, so that only the demand is worth a warning.
		quiet := name == "channel_binding" && s.params.Get(name) != "require"
		if s.params.Has(name) && !quiet {
			s.Ignored = append(s.Ignored, name)
		}
		s.params.Del(name)
	}
	slices.Sort(s.Ignored)
	return nil
}

// translateTLS reads what node-postgres and JDBC write for sslmode: ssl=true, and no-verify for require.
func (s *Source) translateTLS() error {
	mode, given := map[string]string{"true": "require", "1": "require", "require": "require", "no-verify": "require",
		"false": "disable", "0": "disable"}[s.params.Get("ssl")]
	if s.params.Has("ssl") && !given {
		return wrongValue("ssl", "true or false; better, set sslmode")
	}
	if given {
		s.setDefault("sslmode", mode)
	}
	s.params.Del("ssl")
	if s.params.Get("sslmode") == "no-verify" {
		s.params.Set("sslmode", "require")
	}
	return nil
}
