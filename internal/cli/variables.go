package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/validator/core"
)

const prefix = "GRAPHWARDEN_"

// injected are the variables that Kubernetes, and Docker before it, set for a service of that name, or of
// one that begins with it, such as graphwarden-metrics.
var injected = regexp.MustCompile(`^` + prefix + `(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknownVariables names the variables of environ that look like settings and set nothing, each with what
// may have been meant. It names no value: that may be a secret.
func unknownVariables(model *kong.Application, environ []string) []string {
	var known []string
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error { // fails only if this function does
		if flag, ok := node.(*kong.Flag); ok {
			for _, variable := range flag.Envs {
				known = append(known, strings.TrimPrefix(variable, prefix))
			}
		}
		return next(nil)
	})
	var unknown []string
	for _, variable := range environ {
		variable, _, _ = strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(variable, prefix)
		if !ours || slices.Contains(known, name) || injected.MatchString(variable) {
			continue
		}
		// Without the prefix, which would have everything look alike.
		if meant := core.SuggestionList(name, known); len(meant) > 0 {
			variable += " (" + prefix + meant[0] + "?)"
		}
		unknown = append(unknown, variable)
	}
	slices.Sort(unknown)
	return unknown
}
