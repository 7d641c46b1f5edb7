package social

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Options are the settings of one provider.
type Options struct {
	// Name is part of the URLs of the provider: /auth/NAME/callback.
	Name string
	// Settings are the values by key, see docs/FEDERATION.md.
	Settings map[string]string
}

// preset is what this package knows about a provider by its name.
type preset struct {
	label, issuer string
	scopes        string
	// subject and verified are the claims that identify the user, and that vouch for the address.
	subject, verified string
	// keys are the settings that the provider needs besides the client's id.
	keys []string
	// formPost makes the provider answer with a POST.
	formPost bool
}

const (
	gitHub    = "github"
	apple     = "apple"
	microsoft = "microsoft"
)

var presets = map[string]preset{
	"google": {label: "Google", issuer: "https://accounts.google.com"},
	"gitlab": {label: "GitLab", issuer: "https://gitlab.com"},
	gitHub:   {label: "GitHub", issuer: "https://github.com", scopes: "read:user,user:email"},
	// A tenant's administrators choose the addresses in its directory: only xms_edov says that the owner of the address's
	// domain is the tenant. sub differs between the applications of a tenant; oid does not.
	microsoft: {label: "Microsoft", subject: "oid", verified: "xms_edov", keys: []string{"tenant", "client-secret"}},
	// Apple answers with a POST if it is asked for the address.
	apple: {label: "Apple", issuer: "https://appleid.apple.com", scopes: "openid,email", formPost: true,
		keys: []string{"team", "key-id", "key-file"}},
}

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	tenantForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	keyNames   = []string{"preset", "issuer", "client-id", "client-secret", "scopes", "label", "roles", "tenant", "team",
		"key-id", "key-file"}
)

// provider is a provider as the settings describe it.
type provider struct {
	preset
	name, kind             string // kind is the name of the preset; empty for none
	clientID, clientSecret string
	scopes                 []string
	roles                  []rule
	redirectURL            string
	settings               map[string]string
}

// newProvider checks the settings of a provider. Its error names the one at fault and never contains its value.
func newProvider(o Options, publicURL string, hasRole func(token.Role) bool) (*provider, error) {
	p := &provider{name: o.Name, kind: o.Settings["preset"], settings: o.Settings,
		redirectURL: publicURL + "/auth/" + o.Name + "/callback"}
	if !nameForm.MatchString(o.Name) {
		return nil, fmt.Errorf("its name has other characters than a-z, 0-9 and -, or more than 32")
	}
	if _, isPreset := presets[o.Name]; p.kind == "" && isPreset {
		p.kind = o.Name
	}
	known, isKnown := presets[p.kind]
	if p.kind != "" && !isKnown {
		return nil, fmt.Errorf("there is no such preset")
	}
	for key := range o.Settings {
		if !slices.Contains(keyNames, key) {
			return nil, fmt.Errorf("there is no setting %s", key)
		}
	}
	if known.keys == nil {
		known.keys = []string{"client-secret"}
	}
	for _, key := range append([]string{"client-id"}, known.keys...) {
		if o.Settings[key] == "" {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	p.preset = known
	p.clientID, p.clientSecret = o.Settings["client-id"], o.Settings["client-secret"]
	p.label = cmp.Or(o.Settings["label"], known.label, o.Name)
	p.subject, p.verified = cmp.Or(known.subject, "sub"), cmp.Or(known.verified, "email_verified")
	p.scopes = strings.Split(cmp.Or(o.Settings["scopes"], known.scopes, "openid,email,profile"), ",")
	if err := p.setIssuer(); err != nil {
		return nil, err
	}
	var err error
	p.roles, err = parseRules(o.Settings["roles"], hasRole)
	return p, err
}

// setIssuer takes the issuer from the settings or the preset.
func (p *provider) setIssuer() error {
	p.issuer = cmp.Or(p.settings["issuer"], p.issuer)
	if p.kind == microsoft {
		tenant := p.settings["tenant"]
		if !tenantForm.MatchString(tenant) {
			return fmt.Errorf("tenant must be the ID of a directory, such as 1b2c…: with common or organizations, the " +
				"administrators of any other directory could sign in as your users")
		}
		p.issuer = cmp.Or(p.settings["issuer"], "https://login.microsoftonline.com/"+tenant+"/v2.0")
	}
	u, err := url.Parse(p.issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("issuer must be an https:// URL")
	}
	if u.Scheme != "https" && !isLoopback(u) {
		return fmt.Errorf("issuer must start with https://, or anyone on the network could sign in as any user")
	}
	return nil
}

// isLoopback reports whether a URL is of this machine, which tests and development use without TLS.
func isLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// rule gives a role to users whose claim has a value.
type rule struct {
	claim, value string
	role         token.Role
}

// parseRules parses CLAIM=VALUE:ROLE, separated by commas.
func parseRules(text string, hasRole func(token.Role) bool) (rules []rule, err error) {
	if text == "" {
		return nil, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		claim, rest, found := strings.Cut(one, "=")
		colon := strings.LastIndex(rest, ":")
		if !found || claim == "" || colon < 1 {
			return nil, fmt.Errorf("roles must be CLAIM=VALUE:ROLE, such as groups=staff:EDITOR, separated by commas")
		}
		role := token.Role(rest[colon+1:])
		if !hasRole(role) {
			return nil, fmt.Errorf("roles: the schema has no role %s", role)
		}
		rules = append(rules, rule{claim, rest[:colon], role})
	}
	return rules, nil
}

// granted returns the roles that the claims of a user give.
func (p *provider) granted(claims map[string]any) (roles []token.Role) {
	for _, r := range p.roles {
		if has(find(claims, r.claim), r.value) && !slices.Contains(roles, r.role) {
			roles = append(roles, r.role)
		}
	}
	return roles
}

// find returns a claim by its name, or by a path with dots, such as realm_access.roles of Keycloak.
func find(claims map[string]any, name string) any {
	if value, ok := claims[name]; ok {
		return value
	}
	first, rest, found := strings.Cut(name, ".")
	inner, ok := claims[first].(map[string]any)
	if !found || !ok {
		return nil
	}
	return find(inner, rest)
}

// has reports whether a claim is a value, or a list with it.
func has(claim any, value string) bool {
	list, isList := claim.([]any)
	if !isList {
		list = []any{claim}
	}
	return slices.ContainsFunc(list, func(one any) bool { return one != nil && fmt.Sprint(one) == value })
}
