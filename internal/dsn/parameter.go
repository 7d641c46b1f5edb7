package dsn

import (
	"fmt"
	"slices"
	"strings"
)

// aliases maps parameter names of other clients to those of the driver.
var aliases = map[string]string{"schema": "search_path", "currentSchema": "search_path"}

// ignored lists parameters without an effect here: keep-alives, because the server probes its connections itself; pool
// sizes, because --database-conns sets them; tuning of other clients; and channel_binding, which hosting providers put
// into their URLs, because sslmode=verify-full gives the same protection.
var ignored = strings.Fields(`channel_binding sslcompression
	keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout tcpKeepAlive
	connection_limit pool pool_size pool_timeout pool_max_conns pool_min_conns pool_min_idle_conns
	pool_max_conn_lifetime pool_max_conn_lifetime_jitter pool_max_conn_idle_time pool_health_check_period
	max_overflow pool_recycle pool_pre_ping socket_timeout socketTimeout loginTimeout command_timeout
	idleTimeoutMillis conn_max_age reaping_frequency checkout_timeout
	statement_cache_size statement_cache_capacity description_cache_capacity statement_cache_mode default_query_exec_mode
	prepared_statement_cache_size prepared_statements prepareThreshold preparedStatementCacheQueries simple_protocol
	sslaccept uselibpqcompat sslfactory encoding supa workaround`)

// demands maps parameters that request a protection or a mode which the driver lacks to their harmless values. Ignoring
// another value would make the connection less safe than the operator expects.
var demands = map[string][]string{
	"gssencmode": {"disable", "prefer"}, "gssdelegation": {"0"}, "sslcertmode": {"allow"}, "requiressl": {"0"},
	"replication": {"0", "false", "off", "no"}, "require_auth": nil, "requirepeer": nil, "sslcrl": nil, "sslcrldir": nil,
	"sslpassword": nil, "sslkeylogfile": nil, "scram_client_key": nil, "scram_server_key": nil, "servicefile": nil,
	"oauth_issuer": nil, "oauth_client_id": nil, "oauth_client_secret": nil, "oauth_scope": nil,
}

// translate replaces parameters of libpq and other clients by those of the driver. It keeps the others, which are
// session settings: Postgres refuses unknown ones by name.
func (s *Source) translate() error {
	for from, to := range aliases {
		value := s.params.Get(from)
		if value != "" && value != "public" { // omit the default, because poolers refuse session settings
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
			return fmt.Errorf("--database: this server does not support the parameter %s: remove it", name)
		}
		s.params.Del(name)
	}
	for _, name := range ignored {
		quiet := name == "channel_binding" && s.params.Get(name) != "require" // the default is not worth a warning
		if s.params.Has(name) && !quiet {
			s.Ignored = append(s.Ignored, name)
		}
		s.params.Del(name)
	}
	slices.Sort(s.Ignored)
	return nil
}

// translateTLS translates the spellings of sslmode in node-postgres and JDBC: ssl=true, and no-verify for require.
func (s *Source) translateTLS() error {
	modes := map[string]string{
		"true": "require", "1": "require", "require": "require", "no-verify": "require",
		"false": "disable", "0": "disable",
	}
	mode, given := modes[s.params.Get("ssl")]
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
