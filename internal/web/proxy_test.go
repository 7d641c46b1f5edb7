package web_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/web"
)

func proxies(tb testing.TB, trusted ...string) *web.Proxies {
	tb.Helper()
	p, err := web.NewProxies(trusted)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// clientIP returns the client address of a request with the given headers, each "NAME: VALUE".
func clientIP(p *web.Proxies, remote string, lines ...string) string {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return p.ClientIP(r)
}

func TestTheAddressOfASocketIsCanonical(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:1":               "192.0.2.7",
		"[::ffff:192.0.2.7]:1":      "192.0.2.7",
		"[2001:DB8:0:0::1]:443":     "2001:db8::1",
		"[fe80::1%eth0]:443":        "fe80::1",
		"[::ffff:192.0.2.7%eth0]:1": "192.0.2.7",
		"":                          "",
		"@":                         "",
		"/run/socket":               "",
		"example.org:80":            "",
	} {
		for _, p := range []*web.Proxies{{}, proxies(t, "198.51.100.1")} {
			if got := clientIP(p, remote, "X-Forwarded-For: 203.0.113.9"); got != want {
				t.Errorf("%q: %q, want %q", remote, got, want)
			}
		}
	}
}

func TestForwardedAddressesAreFollowedThroughTrustedHops(t *testing.T) {
	t.Parallel()
	const socket = "10.0.0.1"
	p := proxies(t, "10.0.0.0/8", "::ffff:172.16.0.0/108", "2001:db8:ffff::/48", "192.0.2.1", "::ffff:192.0.2.2")
	for name, test := range map[string]struct {
		lines string // separated by |
		want  string
	}{
		"no header":                      {"", socket},
		"one client":                     {"X-Forwarded-For: 203.0.113.9", "203.0.113.9"},
		"an address added by the client": {"X-Forwarded-For: 1.1.1.1, 203.0.113.9", "203.0.113.9"},
		"a chain":                        {"X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.3,10.0.0.2", "203.0.113.9"},
		"a chain in several lines": {
			"X-Forwarded-For: 1.1.1.1|X-Forwarded-For: 203.0.113.9, 10.0.0.3|X-Forwarded-For: 10.0.0.2", "203.0.113.9",
		},
		"only trusted hops": {"X-Forwarded-For: 10.0.0.9, 10.0.0.2", "10.0.0.9"},
		"trusted in several forms": {
			"X-Forwarded-For: 203.0.113.9, 172.31.255.255, 2001:db8:ffff::1, 192.0.2.1, 192.0.2.2", "203.0.113.9",
		},
		"just outside a block":    {"X-Forwarded-For: 203.0.113.9, 172.32.0.0", "172.32.0.0"},
		"IPv4 as IPv6":            {"X-Forwarded-For: 203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"},
		"a client's IPv4 as IPv6": {"X-Forwarded-For: ::ffff:203.0.113.9", "203.0.113.9"},
		"IPv6":                    {"X-Forwarded-For: 2001:DB8:0::9", "2001:db8::9"},
		"IPv6 in brackets":        {"X-Forwarded-For: [2001:db8::9]", "2001:db8::9"},
		"ports":                   {"X-Forwarded-For: [2001:db8::9]:443, 10.0.0.2:8080", "2001:db8::9"},
		"a word":                  {"X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"},
		"a host name":             {"X-Forwarded-For: localhost", socket},
		"nothing between commas":  {"X-Forwarded-For: 203.0.113.9,,10.0.0.2", "10.0.0.2"},
		"an empty header":         {"X-Forwarded-For: ", socket},
		"a zone":                  {"X-Forwarded-For: fe80::1%eth0", socket},
		"an octet too large":      {"X-Forwarded-For: 203.0.113.256", socket},
		"octal octets":            {"X-Forwarded-For: 203.0.0113.9", socket},
		"an invalid port":         {"X-Forwarded-For: 203.0.113.9:80:80", socket},
		"a line break":            {"X-Forwarded-For: 203.0.113.9\n", socket},
		"an element":              {"Forwarded: for=203.0.113.9", "203.0.113.9"},
		"an element's other parameters": {
			`Forwarded: proto=https;For="203.0.113.9";by=10.0.0.1;host="a,b;for=1.1.1.1"`, "203.0.113.9",
		},
		"elements": {`Forwarded: for=1.1.1.1, for=203.0.113.9;proto=http , FOR=10.0.0.2`, "203.0.113.9"},
		"elements in several lines": {
			`Forwarded: for=1.1.1.1|Forwarded: for=203.0.113.9|Forwarded: for=10.0.0.2`, "203.0.113.9",
		},
		"quoted IPv6":                   {`Forwarded: for="[2001:db8::9]"`, "2001:db8::9"},
		"quoted IPv6 with a port":       {`Forwarded: for="[2001:db8::9]:4711", for="10.0.0.2:_http"`, "2001:db8::9"},
		"quoted pairs":                  {`Forwarded: for="\2\0\3.0.113.9"`, "203.0.113.9"},
		"an obfuscated node":            {`Forwarded: for=203.0.113.9, for=_hidden, for=10.0.0.2`, "10.0.0.2"},
		"an unknown node":               {`Forwarded: for=203.0.113.9, for=unknown`, socket},
		"an element without an address": {`Forwarded: for=203.0.113.9, proto=https, for=10.0.0.2`, "10.0.0.2"},
		"an element with two addresses": {`Forwarded: for=203.0.113.9;for=1.1.1.1, for=10.0.0.2`, "10.0.0.2"},
		"an element with one twice":     {`Forwarded: for=203.0.113.9;for=203.0.113.9, for=10.0.0.2`, "10.0.0.2"},
		"a comma in quotes":             {`Forwarded: for="203.0.113.9, for=10.0.0.2"`, socket},
		"an unclosed quote":             {`Forwarded: for=203.0.113.9;a=", for=10.0.0.2`, socket},
		"an unclosed quote before":      {`Forwarded: for="|Forwarded: for=203.0.113.9, for=10.0.0.2`, "203.0.113.9"},
		"an escape outside quotes":      {`Forwarded: for=1.1.1.1\, for=203.0.113.9`, "203.0.113.9"},
		"an escape at the end":          {`Forwarded: for=203.0.113.9;a="\`, socket},
		"both headers, consistent": {
			`X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.2|Forwarded: for=203.0.113.9, for=10.0.0.2`, "203.0.113.9",
		},
		"both headers, contradictory": {
			`X-Forwarded-For: 203.0.113.9, 10.0.0.2|Forwarded: for=1.1.1.1, for=10.0.0.2`, "10.0.0.2",
		},
		"both headers, one by the client": {`X-Forwarded-For: 203.0.113.9|Forwarded: for=1.1.1.1`, socket},
		"both headers, one shorter":       {`X-Forwarded-For: 203.0.113.9, 10.0.0.2|Forwarded: for=10.0.0.2`, "10.0.0.2"},
		"both headers, one unreadable":    {`X-Forwarded-For: 203.0.113.9|Forwarded: "`, socket},
		"ignored headers": {
			`X-Real-IP: 1.1.1.1|CF-Connecting-IP: 1.1.1.1|True-Client-IP: 1.1.1.1|X-Client-IP: 1.1.1.1|` +
				`X-Cluster-Client-IP: 1.1.1.1`, socket,
		},
		"too many hops": {"X-Forwarded-For: 203.0.113.9" + strings.Repeat(", 10.0.0.3, 10.0.0.2", 8), "10.0.0.3"},
		"the maximum number of hops": {
			"X-Forwarded-For: 203.0.113.9, 10.0.0.2" + strings.Repeat(", 10.0.0.3, 10.0.0.2", 7), "203.0.113.9",
		},
		"too many elements": {"Forwarded: for=203.0.113.9" + strings.Repeat(", for=10.0.0.3, for=10.0.0.2", 8), "10.0.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			if test.lines != "" {
				lines = strings.Split(test.lines, "|")
			}
			if got := clientIP(p, socket+":1", lines...); got != test.want {
				t.Errorf("%q: %q, want %q", lines, got, test.want)
			}
			for _, untrusted := range []string{"203.0.113.77", "9.255.255.255", "2001:db8:fffe::1"} {
				remote := netip.AddrPortFrom(netip.MustParseAddr(untrusted), 1).String()
				if got := clientIP(p, remote, lines...); got != untrusted {
					t.Errorf("%q from %s: %q", lines, untrusted, got)
				}
			}
			if got := clientIP(&web.Proxies{}, socket+":1", lines...); got != socket {
				t.Errorf("%q with no trusted proxies: %q", lines, got)
			}
		})
	}
}

func TestInvalidProxiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, one := range []string{
		"", "localhost", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "10.0.0.0/8/8", "*", "0.0.0.0/0", "::/0",
		"::ffff:0.0.0.0/96",
	} {
		if _, err := web.NewProxies([]string{"10.0.0.1", one}); err == nil {
			t.Errorf("%q is accepted", one)
		}
	}
}

func TestTrustedProxiesMustNotCoverAllClients(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{
		{"0.0.0.0/1", "128.0.0.0/1"},
		{"0.0.0.0/2", "64.0.0.0/2", "10.0.0.0/8"},
		{"1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/5", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1"},
		{"::/1", "8000::/1"},
		{"2000::/3"},
		{"::ffff:0:0/97", "::ffff:128.0.0.0/97"},
	} {
		_, err := web.NewProxies(append([]string{"192.0.2.1"}, list...))
		if err == nil || !strings.Contains(err.Error(), "clients are among them") {
			t.Errorf("%q: %v", list, err)
		}
	}
	_, err := web.NewProxies([]string{"localhost", "0.0.0.0/1", "::/0", "proxy"})
	for _, want := range []string{`"localhost"`, "0.0.0.0/1", "::/0", `"proxy"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
	proxies(t, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10", "10.0.0.0/8",
		"10.1.0.0/16")
	proxies(t, "104.16.0.0/13", "172.64.0.0/13", "2606:4700::/32", "2a06:98c0::/29", "2600:1f00::/24")
}

func TestRequestsKnowTheClientBehindAProxy(t *testing.T) {
	t.Parallel()
	var got web.Request
	h := web.Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = web.RequestFrom(r.Context())
	}), proxies(t, "127.0.0.1", "::1").ClientIP)
	get(t, h, "/", "X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "203.0.113.9")
	if got.IP != "203.0.113.9" {
		t.Errorf("%q", got.IP)
	}
}

// FuzzClientIP lets a client send any headers. The result must be the socket's address or the one that the trusted
// proxy added.
func FuzzClientIP(f *testing.F) {
	for _, seed := range [][2]string{
		{"1.1.1.1", `for=1.1.1.1`}, {"10.0.0.2, 10.0.0.3", `for="10.0.0.2", for=10.0.0.3`}, {",,", ";;,"}, {`"`, `for="`},
		{"x", `for=1.1.1.1;a="\`},
		{"[::1]:80", `for="[2001:db8::1]:_x"`}, {"203.0.113.9", `for=203.0.113.9;a=",`},
		{"::ffff:10.0.0.2", `for=unknown, for=_x`}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	const socket, client = "10.0.0.1", "203.0.113.9"
	p := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, list, elements string) {
		sent := []string{"X-Forwarded-For: " + list, "Forwarded: " + elements}
		check := func(lines []string, allowed ...string) {
			t.Helper()
			if got := clientIP(p, socket+":1", lines...); !slices.Contains(allowed, got) {
				t.Errorf("%q: %q, want one of %q", lines, got, allowed)
			}
		}
		check([]string{"X-Forwarded-For: " + list + ", " + client}, client)
		check([]string{"X-Forwarded-For: " + list, "X-Forwarded-For: " + client}, client)
		check([]string{sent[1], "X-Forwarded-For: " + list + "," + client}, client, socket)
		for _, added := range []string{
			"for=" + client,
			`for="` + client + `:80";proto=https;by="10.0.0.1:80"`,
			`host="a";for="::ffff:` + client + `"`,
		} {
			check([]string{"Forwarded: " + elements + ", " + added}, client, socket)
			check([]string{sent[1], "Forwarded: " + added}, client)
			check([]string{sent[0], sent[1], "Forwarded: " + added}, client, socket)
		}
		if got := clientIP(p, client+":1", sent...); got != client {
			t.Errorf("without the proxy: %q", got)
		}
		if got := clientIP(p, socket+":1", sent...); netip.MustParseAddr(got).Unmap().String() != got {
			t.Errorf("%q is not canonical", got)
		}
	})
}
