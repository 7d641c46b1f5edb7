package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/app"
)

// errUnhealthy means that production would refuse to start.
var errUnhealthy = errors.New("unhealthy")

type doctorCmd struct{}

func (doctorCmd) Run(e *env) error {
	checks := app.Diagnose(e.ctx, e.config, e.schema, time.Now)
	for _, c := range checks {
		diagnosis(e.out, c)
	}
	if len(app.Refusals(checks)) > 0 {
		return errUnhealthy
	}
	return nil
}

// indent is the column in which the text of a check starts.
const indent = 18

// diagnosis prints the result of one check and, if it failed, the fix.
func diagnosis(w io.Writer, c app.Check) {
	line := func(mark, name, text string) {
		text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", indent))
		fmt.Fprintf(w, "%1s %-*s%s\n", mark, indent-2, name, text)
	}
	if c.OK {
		line("✓", c.Name, c.Good)
		return
	}
	mark, text := "!", c.Bad
	if c.Accepted {
		text += " (accepted with " + c.Flag + ")"
	}
	if c.Fails() {
		mark = "✗"
	}
	line(mark, c.Name, text)
	if c.Fix != "" && !c.Accepted {
		line("", "", c.Fix)
	}
}
