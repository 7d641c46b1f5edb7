package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// maxHops is how many hops are followed; no honest chain of proxies comes near it.
const maxHops = 16

// node is a node of RFC 7239 section 6 that has an address, with or without a port. X-Forwarded-For has the same form.
// A zone is not allowed: it names an interface of another host.
var node = regexp.MustCompile(`^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?$|` +
	`^([0-9A-Fa-f:.]{2,45})$`)

// Proxies are the hosts that are trusted to forward client addresses.
type Proxies struct {
	trusted []netip.Prefix
}

// NewProxies trusts addresses and CIDR blocks, of IPv4 or IPv6. Its error names every entry that is neither, and blocks
// that alone or together are so large that they include clients, who could then choose their own address.
func NewProxies(list []string) (*Proxies, error) {
	p := &Proxies{}
	var problems []string
	for _, one := range list {
		prefix, err := parseProxy(one)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%q is neither an address nor a CIDR block, such as 10.0.0.0/8", one))
			continue
		}
		p.trusted = append(p.trusted, prefix)
	}
	for _, is4 := range []bool{true, false} {
		if blocks := p.blocks(is4); share(blocks) >= tooWide {
			problem := "these blocks hold an eighth of all addresses or more, so that clients are among them"
			problems = append(problems, join(blocks)+": "+problem)
		}
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return p, nil
}

// parseProxy parses an entry. Like ClientIP, it reads IPv4-mapped IPv6 as IPv4 and drops zones.
func parseProxy(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), err
}

// tooWide is the smallest share of all addresses of a family that is refused. The global unicast addresses of IPv6,
// 2000::/3, are an eighth; all private addresses of either family are a hundredth.
const tooWide = 1.0 / 8

// blocks returns the trusted blocks of one family without those inside another block.
func (p *Proxies) blocks(is4 bool) (blocks []netip.Prefix) {
	for i, one := range p.trusted {
		inside := func(other netip.Prefix) bool { return other.Bits() < one.Bits() && other.Overlaps(one) }
		if one.Addr().Is4() == is4 && !slices.ContainsFunc(p.trusted, inside) && !slices.Contains(p.trusted[:i], one) {
			blocks = append(blocks, one)
		}
	}
	return blocks
}

// share returns the share that disjoint blocks have of all addresses of their family.
func share(blocks []netip.Prefix) (sum float64) {
	for _, one := range blocks {
		sum += math.Ldexp(1, -one.Bits())
	}
	return sum
}

func join(blocks []netip.Prefix) string {
	texts := make([]string, len(blocks))
	for i, one := range blocks {
		texts[i] = one.String()
	}
	return strings.Join(texts, ", ")
}

func (p *Proxies) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(prefix netip.Prefix) bool { return prefix.Contains(a) })
}

// ClientIP returns the address of the client. IPv4 is never written as IPv6, and a zone, which names an interface of
// this host, is dropped. It is "" for a socket without an address.
//
// Forwarded (RFC 7239) and X-Forwarded-For are read from their end, which the nearest proxy wrote, for as long as the
// sending hop is trusted. Entries further left may be forged. If an entry has no address, the hop that wrote it is the
// client. If a request has both headers, only the hops on which both agree count, because most proxies write one of
// them and pass a client's other one through. Other headers of this kind hold one value, whose writer is unknown, and
// are ignored.
func (p *Proxies) ClientIP(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip := from.Addr().Unmap().WithZone("")
	if !p.trusts(ip) {
		return ip.String()
	}
	for _, hop := range agreed(forwarded(r.Header.Values("Forwarded")), forwardedFor(r.Header.Values("X-Forwarded-For"))) {
		if !hop.IsValid() {
			break
		}
		ip = hop
		if !p.trusts(ip) {
			break
		}
	}
	return ip.String()
}

// agreed returns the hops of the header that is present, or the hops on which both agree.
func agreed(a, b []netip.Addr) []netip.Addr {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// forwardedFor returns the hops of X-Forwarded-For, the nearest first. It stops at an entry that is not an address,
// which it returns as an invalid hop.
func forwardedFor(lines []string) (hops []netip.Addr) {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var last string
			comma := strings.LastIndexByte(rest, ',')
			last, more = rest[comma+1:], comma >= 0
			rest = rest[:max(comma, 0)]
			hop := address(trim(last))
			hops = append(hops, hop)
			if !hop.IsValid() || len(hops) == maxHops {
				return hops
			}
		}
	}
	return hops
}

// forwarded is forwardedFor for the header of RFC 7239. It parses a line from its start, because commas may be quoted.
// If a quote does not end, the hops of the line cannot be told apart, and it counts as one invalid hop.
func forwarded(lines []string) (hops []netip.Addr) {
	for i := len(lines) - 1; i >= 0; i-- {
		elements, ok := split(lines[i], ',')
		if !ok {
			return append(hops, netip.Addr{})
		}
		for _, element := range slices.Backward(elements) {
			hop := forParameter(element)
			hops = append(hops, hop)
			if !hop.IsValid() || len(hops) == maxHops {
				return hops
			}
		}
	}
	return hops
}

// forParameter returns the address in the only for= of a forwarded-element.
func forParameter(element string) (hop netip.Addr) {
	pairs, _ := split(element, ';') // forwarded has checked the quotes
	for _, pair := range pairs {
		name, value, _ := strings.Cut(trim(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if hop.IsValid() {
			return netip.Addr{} // of two, proxies and servers may each read a different one
		}
		hop = address(unescape(value))
		if !hop.IsValid() {
			return hop
		}
	}
	return hop
}

// split cuts s at each separator outside a quoted-string (RFC 9110 section 5.6.4), and reports whether all quotes end.
func split(s string, separator byte) (parts []string, ok bool) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:]), !quoted
}

// unescape returns the content of a quoted-string, or s itself if it is not one.
func unescape(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// address parses a node. It returns an invalid address for "unknown" and obfuscated identifiers.
func address(s string) netip.Addr {
	found := node.FindStringSubmatch(s)
	if found == nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(found[1] + found[2] + found[3]) // one of them
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap()
}

func trim(s string) string { return strings.Trim(s, " \t") }

// Network returns what counts as one client address: of IPv6 the /64, which one customer has to themselves. Text that
// is not an address is returned unchanged.
func Network(ip string) string {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if address.Is4() {
		return ip
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().String()
	}
	return address.String()
}
