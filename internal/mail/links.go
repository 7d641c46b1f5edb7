package mail

import (
	"errors"
	"net/url"
	"strings"
)

// Links is the template of links, with {flow} for the kind of a mail and {token} for the secret.
type Links string

// ParseLinks checks a template of links. The secret must be in the fragment, which browsers and mail scanners do not
// send to servers.
func ParseLinks(text string) (Links, error) {
	base, fragment, _ := strings.Cut(text, "#")
	u, err := url.Parse(strings.ReplaceAll(base, "{flow}", "flow"))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", errors.New("--links-base must be a URL, such as https://app.example.com/#{flow}={token}")
	case strings.Contains(base, "{token}") || !strings.Contains(fragment, "{token}"):
		return "", errors.New("--links-base must have {token} after the #, and not before it: servers log the rest of a URL")
	case !strings.Contains(text, "{flow}"):
		return "", errors.New("--links-base must have {flow}: the page needs it to know what the link is for")
	}
	return Links(text), nil
}

// to returns the link of a mail.
func (l Links) to(kind Kind, secret string) string {
	return strings.NewReplacer("{flow}", string(kind), "{token}", url.QueryEscape(secret)).Replace(string(l))
}
