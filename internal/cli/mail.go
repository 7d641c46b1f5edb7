package cli

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/mail"
)

type mailListCmd struct {
	State string `enum:",queued,sent,failed,expired" default:"" help:"Only mails in this state."`
	Limit int    `default:"50" help:"Maximum number of mails."`
}

func (c mailListCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		mails, err := a.Mail.List(e.ctx, mail.State(c.State), c.Limit)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tKIND\tTO\tSTATE\tATTEMPTS\tCREATED\tERROR")
		for _, m := range mails {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n",
				m.ID, m.Kind, m.To, m.State, m.Attempts, when(m.CreatedAt), m.LastError)
		}
		return table.Flush()
	})
}

type mailID struct {
	ID string `arg:"" name:"id" help:"The id of the mail, as printed by mail list."`
}

type mailShowCmd struct{ mailID }

func (c mailShowCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		m, err := a.Mail.Show(e.ctx, c.ID)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(table, "%s\t%s\n", name, value)
			}
		}
		line("id", m.ID)
		line("message id", "<"+m.MessageID+">")
		line("kind", string(m.Kind))
		line("to", m.To)
		line("user", m.User)
		line("locale", m.Locale)
		for _, name := range slices.Sorted(maps.Keys(m.Data)) {
			line("data "+name, fmt.Sprintf("%q", m.Data[name]))
		}
		line("state", string(m.State))
		line("attempts", fmt.Sprint(m.Attempts))
		line("error", m.LastError)
		line("created", when(m.CreatedAt))
		line("expires", when(m.ExpiresAt))
		if m.EndedAt == nil {
			line("next attempt", when(m.NextAt))
		} else {
			line("ended", when(*m.EndedAt))
		}
		return table.Flush()
	})
}

type mailRetryCmd struct{ mailID }

func (c mailRetryCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		if err := a.Mail.Retry(e.ctx, c.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.out, "The mail is due now. A running server sends it within seconds.")
		return err
	})
}

type mailTestCmd struct {
	Address string `arg:"" help:"The address of the recipient."`
}

func (c mailTestCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		if err := a.Mail.Deliver(e.ctx, c.Address); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.out, "The mail server has accepted a mail to %s.\n", c.Address)
		return err
	})
}
