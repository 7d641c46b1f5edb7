package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/team"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
	"github.com/graphwarden/graphwarden/schema"
)

// operator is the actor of all commands.
var operator = audit.Actor{Operator: true}

type userAddCmd struct {
	Email    string       `arg:"" help:"The e-mail address."`
	Username *string      `help:"A username."`
	Name     *string      `help:"A display name."`
	Role     []token.Role `help:"A role in addition to USER; may be repeated."`
}

func (c userAddCmd) Run(e *env) error {
	if err := e.knowRoles(c.Role); err != nil {
		return err
	}
	password, err := readPassword(e.in, e.out)
	if err != nil {
		return err
	}
	return e.with(func(a *app.App) error {
		in := account.Registration{Email: c.Email, Username: c.Username, Name: c.Name, Password: password}
		u, err := a.Accounts.Add(e.ctx, in, c.Role, operator)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "Created %s with the roles %s.\n", u.Email, u.Roles)
		return err
	})
}

type userInviteCmd struct {
	Email   string       `arg:"" help:"The e-mail address, which has no account."`
	Role    []token.Role `help:"A role in addition to USER; may be repeated."`
	Message string       `help:"Plain text that is shown in the mail."`
}

func (c userInviteCmd) Run(e *env) error {
	if err := e.knowRoles(c.Role); err != nil {
		return err
	}
	return e.with(func(a *app.App) error {
		i, err := a.Accounts.Invite(e.ctx, c.Email, c.Role, c.Message, operator)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "Invited %s with the roles %s, until %s.\n", i.Email, i.Roles,
			i.ExpiresAt.Std().Format(time.DateOnly))
		return err
	})
}

// readPassword reads one line, from a terminal without echo. As an argument, the password would be visible in the list
// of processes and in the shell's history.
func readPassword(in io.Reader, out io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(out, "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(out)
		return string(b), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type userImportCmd struct {
	File               string   `arg:"" default:"-" help:"The file, or - for standard input."`
	Ignore             []string `help:"A field or column to skip; may be repeated." placeholder:"FIELD"`
	FirebaseHashConfig string   `type:"existingfile" help:"A file with the hash_config of a Firebase project."`
}

// Help returns the text that --help prints below the flags.
func (userImportCmd) Help() string {
	return `The file is JSON (one object per account, or an array of objects) or CSV with a header row.
Common spellings of names are recognized, such as password_hash and passwordHash:

  email          required
  passwordHash   bcrypt, Argon2, scrypt or PBKDF2 in the formats of Django, Spring, PHP, passlib, Werkzeug, ASP.NET,
                 LDAP, Dovecot, Supabase and Auth0; the first login replaces it
  username, name (or firstName and lastName), emailVerified, roles, disabled
  id             a UUID, which is kept
  createdAt      RFC 3339 or a Unix time, which is kept

Exports of Auth0, Firebase, Keycloak and Supabase need no changes. Unknown fields are refused unless --ignore names
them. Invalid accounts are reported with their line and skipped.`
}

func (c userImportCmd) options() (userfile.Options, error) {
	o := userfile.Options{Ignore: c.Ignore, Now: time.Now()}
	if c.FirebaseHashConfig == "" {
		return o, nil
	}
	text, err := os.ReadFile(c.FirebaseHashConfig)
	if err != nil {
		return o, fmt.Errorf("cannot read the hash configuration: %w", err)
	}
	o.Firebase, err = userfile.ParseFirebase(string(text))
	return o, err
}

func (c userImportCmd) Run(e *env) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	in := e.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("cannot read the accounts: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return e.with(func(a *app.App) error {
		created, problems, err := a.Accounts.Import(e.ctx, userfile.NewReader(in, options), operator)
		fmt.Fprintf(e.out, "Imported %s.\n", plural(created, "account"))
		for i, problem := range problems {
			problems[i] = spelledOut(problem)
		}
		if err := errors.Join(append(problems, err)...); err != nil {
			return fmt.Errorf("some accounts were not imported:\n%w", err)
		}
		return nil
	})
}

type userListCmd struct{}

func (userListCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tEMAIL\tUSERNAME\tROLES\tCREATED\tSTATE")
		err := a.Accounts.All(e.ctx, func(u *account.User) error {
			username, state := "-", "enabled"
			if u.Username != nil {
				username = *u.Username
			}
			switch {
			case u.Hidden():
				state = "deleted on " + u.DeletesAt.Std().Format(time.DateOnly)
			case u.Disabled():
				state = "disabled"
			}
			created := u.CreatedAt.Std().Format(time.DateOnly)
			_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", u.ID, u.Email, username, u.Roles, created, state)
			return err
		})
		return errors.Join(err, table.Flush())
	})
}

type userName struct {
	User string `arg:"" help:"E-mail address, username or id."`
}

// do calls f with the named user.
func (n userName) do(e *env, f func(*app.App, *account.User) error) error {
	return e.with(func(a *app.App) error {
		u, err := a.Accounts.Find(e.ctx, n.User)
		if err != nil {
			return err
		}
		return f(a, u)
	})
}

type userDisableCmd struct{ userName }

func (c userDisableCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		if _, err := a.Accounts.SetDisabled(e.ctx, u.ID, true, operator); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.out, "Disabled %s.\n", u.Email)
		return err
	})
}

type userEnableCmd struct{ userName }

func (c userEnableCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		if _, err := a.Accounts.SetDisabled(e.ctx, u.ID, false, operator); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.out, "Enabled %s.\n", u.Email)
		return err
	})
}

type userExportCmd struct{ userName }

func (c userExportCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		export, err := a.Accounts.Export(e.ctx, u.ID, team.New(a.DB).Export, operator)
		if err != nil {
			return err
		}
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		return out.Encode(export.Document)
	})
}

type userFactorsCmd struct{ userName }

func (c userFactorsCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		f, err := a.Accounts.Factors(e.ctx, u.ID)
		if err != nil {
			return err
		}
		if f.TOTPSince == nil {
			_, err = fmt.Fprintf(e.out, "%s has no second factor.\n", u.Email)
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s has an authenticator app since %s, and %d unused recovery codes.\n", u.Email,
			f.TOTPSince.Std().Format(time.DateOnly), f.RecoveryCodesLeft)
		return err
	})
}

type userResetFactorsCmd struct{ userName }

func (c userResetFactorsCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		if _, err := a.Accounts.ResetFactors(e.ctx, u.ID, operator); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.out, "Removed the second factors of %s.\n", u.Email)
		return err
	})
}

type userDeleteCmd struct{ userName }

func (c userDeleteCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, u *account.User) error {
		if err := a.Accounts.Remove(e.ctx, u.ID, operator); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.out, "Deleted %s.\n", u.Email)
		return err
	})
}

type userRoleCmd struct {
	userName
	Add    []token.Role `help:"A role to add; may be repeated."`
	Remove []token.Role `help:"A role to remove; may be repeated."`
}

// Validate implements the validation of the parser.
func (c userRoleCmd) Validate() error {
	if len(c.Add)+len(c.Remove) == 0 {
		return errors.New("give --add or --remove")
	}
	return nil
}

func (c userRoleCmd) Run(e *env) error {
	if err := e.knowRoles(c.Add); err != nil {
		return err
	}
	return c.do(e, func(a *app.App, u *account.User) error {
		// A role that is no longer in the schema can still be removed from its users.
		absent := slices.DeleteFunc(slices.Clone(c.Remove), func(r token.Role) bool { return u.Roles.Has(r) })
		if err := e.knowRoles(absent); err != nil {
			return err
		}
		u, err := a.Accounts.ChangeRoles(e.ctx, u.ID, c.Add, c.Remove, operator)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s has the roles %s.\n", u.Email, u.Roles)
		return err
	})
}

func (e *env) knowRoles(roles []token.Role) error {
	for _, role := range roles {
		if !schema.HasRole(e.schema, role) {
			return fmt.Errorf("there is no role %q in the schema's enum Role", role)
		}
	}
	return nil
}

// spelledOut replaces the text of a fault in an error by its message and all problems of an input, without the cause.
// It keeps internal and temporary errors, whose cause the operator needs.
func spelledOut(err error) error {
	f := fault.As(err)
	if f == nil || f.Code == fault.Internal || f.Code == fault.Unavailable {
		return err
	}
	text := f.Message
	if len(f.Fields) > 1 {
		var texts []string
		for _, field := range f.Fields {
			texts = append(texts, strings.TrimPrefix(field.Path, "input.")+": "+field.Message)
		}
		text = strings.Join(texts, "; ")
	}
	return errors.New(strings.Replace(err.Error(), f.Error(), text, 1))
}
