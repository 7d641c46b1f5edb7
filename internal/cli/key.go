package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

type keyListCmd struct{}

func (keyListCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		keys, err := a.Keys.Keys(e.ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "KID\tALGORITHM\tSTATE\tCREATED\tSIGNING SINCE\tENDED")
		for _, k := range keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
				k.KeyID, k.Algorithm, k.State, when(k.CreatedAt), when(k.ActivatedAt), when(k.RetiredAt))
		}
		return table.Flush()
	})
}

func when(t store.Time) string {
	if t == 0 {
		return "-"
	}
	return t.Std().Format(time.DateTime)
}

func recorded(action audit.Action) token.Record {
	return func(tx *store.Tx, keys string) error {
		return audit.Record(tx, audit.Event{Action: action, Outcome: audit.Done, Detail: keys})
	}
}

type keyRotateCmd struct{}

func (keyRotateCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		if err := a.Keys.Rotate(e.ctx, recorded(audit.SigningKeyRotated)); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.out, "The next key signs now. Running servers follow within a second.")
		return err
	})
}

type keyRevokeCmd struct {
	KID string `arg:"" name:"kid" help:"The id of the key, as printed by key list."`
}

func (c keyRevokeCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		if err := a.Keys.Revoke(e.ctx, c.KID, recorded(audit.SigningKeyRevoked)); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.out, "Tokens of this key are refused. Running servers follow within a second.")
		return err
	})
}
