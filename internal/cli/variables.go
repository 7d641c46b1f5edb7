package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/validator/core"
)

const prefix = "GRAPHWARDEN_"

// injected matches the variables that Kubernetes and Docker set for a service with our name, or with a name that begins
// with it, such as graphwarden-metrics.
var injected = regexp.MustCompile(
	`^` + prefix + `(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknownVariables returns the names of the variables of environ that have our prefix but are not settings, each with
// the most similar setting. It does not return values, because they may be secret.
func unknownVariables(model *kong.Application, environ []string) []string {
	var known []string
	// The error is nil, because this function returns none.
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
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
		// Compare without the prefix, which would make all names similar.
		if meant := core.SuggestionList(name, known); len(meant) > 0 {
			variable += " (" + prefix + meant[0] + "?)"
		}
		unknown = append(unknown, variable)
	}
	slices.Sort(unknown)
	return unknown
}
