package dsn

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	errMalformed = errors.New("--database is not a URL: percent-encode special characters in its user, password and " +
		"database name, such as %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %")
	errHost = errors.New("--database has an invalid host or port: the host must be a host name, an IP address (IPv6 in " +
		"brackets) or the percent-encoded folder of a socket, and the port a number; " +
		"percent-encode special characters in the password")

	hostName      = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)
	parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
)

// parsePostgres parses a URL without its scheme. It refuses @ and other delimiters in the wrong place, because net/url
// takes the first part of an unencoded password for the host: in user:4711/x@host, the port is 4711.
func parsePostgres(rest string) (*Source, error) {
	end := strings.IndexAny(rest+"/", "/?#")
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@") + 1
	user, hosts := authority[:at], authority[at:]
	path, query, _ := strings.Cut(tail, "?")
	switch {
	case strings.Count(user, "@") > 1,
		strings.ContainsAny(path, "@#"),
		strings.Count(path, "/") > 1,
		strings.Contains(query, "#"),
		strings.Contains(query, "@") && hosts != "": // host=@name is an abstract socket
		return nil, errMalformed
	}
	u, err := url.Parse("postgres://" + user + "/" + strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, errMalformed // err would repeat the URL
	}
	params, err := parseParameters(query)
	if err != nil {
		return nil, err
	}
	s := &Source{user: u.User, name: strings.TrimPrefix(u.Path, "/"), params: params}
	if err := s.addHosts(hosts); err != nil {
		return nil, err
	}
	if err := s.translate(); err != nil {
		return nil, err
	}
	return s, s.check()
}

func parseParameters(query string) (url.Values, error) {
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, errMalformed
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, _, ok := strings.Cut(pair, "=")
		if pair != "" && (!ok || !parameterName.MatchString(name)) {
			return nil, errMalformed
		}
	}
	return params, nil
}

// addHosts turns the hosts of the URL into parameters, because the driver accepts several hosts with ports only as
// parameters. As in libpq, existing parameters take precedence. The default host keeps the driver from reading PGHOST.
func (s *Source) addHosts(list string) error {
	var hosts, ports []string
	for one := range strings.SplitSeq(list, ",") {
		host, port, err := splitHost(one)
		if err != nil {
			return err
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if host := strings.Join(hosts, ","); host != "" {
		s.setDefault("host", host)
	}
	if port := strings.Join(ports, ","); strings.Trim(port, ",") != "" {
		s.setDefault("port", port)
	}
	if !s.params.Has("hostaddr") {
		s.setDefault("host", "localhost")
	}
	return nil
}

func splitHost(text string) (host, port string, err error) {
	host = text
	if i := strings.LastIndex(text, ":"); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
		if !strings.Contains(host, ":") || inner == host {
			return "", "", errHost
		}
	} else if strings.Contains(host, ":") {
		return "", "", errHost
	}
	if host, err = url.PathUnescape(host); err != nil {
		return "", "", errHost
	}
	return host, port, nil
}

func (s *Source) setDefault(name, value string) {
	if !s.params.Has(name) {
		s.params.Set(name, value)
	}
}

// check refuses invalid values, which the driver would repeat in its errors or connect to.
func (s *Source) check() error {
	for host := range strings.SplitSeq(s.params.Get("host"), ",") {
		_, err := netip.ParseAddr(host)
		if host != "" && !isSocket(host) && !hostName.MatchString(host) && err != nil {
			return errHost
		}
	}
	for _, addr := range s.list("hostaddr") {
		if _, err := netip.ParseAddr(addr); err != nil {
			return wrongValue("hostaddr", "an IP address")
		}
	}
	for _, port := range s.list("port") {
		if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
			return errHost
		}
	}
	_, err := strconv.ParseInt(s.params.Get("connect_timeout"), 10, 16)
	if s.params.Has("connect_timeout") && err != nil {
		return wrongValue("connect_timeout", "a number of seconds")
	}
	if !slices.Contains([]string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}, s.TLSMode()) {
		return wrongValue("sslmode", "disable, allow, prefer, require, verify-ca or verify-full")
	}
	if !slices.Contains([]string{"", "any", "read-write", "primary"}, s.params.Get("target_session_attrs")) {
		return wrongValue("target_session_attrs", "read-write, primary or any, because the server writes")
	}
	return nil
}

func wrongValue(name, want string) error {
	return fmt.Errorf("--database: the parameter %s must be %s", name, want)
}

// list splits a parameter that has one value per host. It returns nil if the parameter is not set.
func (s *Source) list(name string) []string {
	if !s.params.Has(name) {
		return nil
	}
	return strings.Split(s.params.Get(name), ",")
}

// hosts returns the hosts that the driver connects to. A hostaddr replaces its host.
func (s *Source) hosts() []string {
	hosts := s.list("host")
	for i, addr := range s.list("hostaddr") {
		if i >= len(hosts) {
			hosts = append(hosts, addr)
		}
		hosts[i] = addr
	}
	return hosts
}

// Host returns the hosts with their ports, for display.
func (s *Source) Host() string {
	hosts, ports := s.hosts(), s.list("port")
	for i, host := range hosts {
		port := ""
		if len(ports) > 0 {
			port = ports[min(i, len(ports)-1)]
		}
		if port != "" && !isSocket(host) {
			hosts[i] = net.JoinHostPort(host, port)
		}
	}
	return strings.Join(hosts, ",")
}

// IsLocal reports whether all hosts are this machine, so that connections need no TLS.
func (s *Source) IsLocal() bool {
	return !slices.ContainsFunc(s.hosts(), func(host string) bool {
		ip := net.ParseIP(host)
		return host != "" && host != "localhost" && !isSocket(host) && (ip == nil || !ip.IsLoopback())
	})
}

// isSocket reports whether a host is a Unix socket: a path, or a name after @.
func isSocket(host string) bool { return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") }

// TLSMode returns the value of sslmode, or its default: require, or disable for a local host.
func (s *Source) TLSMode() string {
	switch {
	case s.params.Get("sslmode") != "":
		return s.params.Get("sslmode")
	case s.params.Get("sslrootcert") == "system": // like libpq, the driver requires verify-full with it
		return "verify-full"
	case s.IsLocal():
		return "disable"
	}
	return "require"
}

// Driver returns the URL for the driver. defaults are the values of parameters that are not set.
func (s *Source) Driver(defaults map[string]string) string {
	q := maps.Clone(s.params)
	q.Set("sslmode", s.TLSMode())
	if len(s.hosts()) > 1 && !q.Has("target_session_attrs") {
		q.Set("target_session_attrs", "read-write") // not a standby
	}
	for name, value := range defaults {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u := url.URL{Scheme: "postgres", User: s.user, Path: "/" + s.name, RawQuery: q.Encode()}
	return u.String()
}

// HasPasswordParameter reports whether the password is a parameter. Part of it may then look like another parameter.
func (s *Source) HasPasswordParameter() bool { return s.params.Has("password") }
