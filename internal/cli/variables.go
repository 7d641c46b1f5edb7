package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/validator/core"
)

const prefix = "GRAPHWARDEN_"

// injected matches the variables that Kubernetes and Docker set for a service called graphwarden or graphwarden-….
var injected = regexp.MustCompile(`^` + prefix +
	`(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknownVariables returns the names of the variables in environ that look like settings but are not, each with a
// suggestion. It returns no values, which may be secret.
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
		// Compare without the prefix, with which all names would look similar.
		if meant := core.SuggestionList(name, known); len(meant) > 0 {
			variable += " (" + prefix + meant[0] + "?)"
		}
		unknown = append(unknown, variable)
	}
	slices.Sort(unknown)
	return unknown
}
