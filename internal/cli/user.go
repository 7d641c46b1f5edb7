package cli

import (
	"bufio"
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
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
	"github.com/graphwarden/graphwarden/schema"
)

// operator is the actor of all commands.
var operator = audit.Actor{Operator: true}

type userAddCmd struct {
	Email    string       `arg:"" help:"The e-mail address."`
	Username *string      `help:"A username."`
	Name     *string      `help:"The display name."`
	Role     []token.Role `help:"A role besides USER. Can be repeated."`
}

func (c userAddCmd) Run(e *env) error {
	if err := e.requireRoles(c.Role); err != nil {
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

// readPassword reads one line, without echo from a terminal. The password is not an argument, because the process list
// and the shell's history would show it.
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
	Ignore             []string `help:"A field or column to ignore. Can be repeated." placeholder:"FIELD"`
	FirebaseHashConfig string   `type:"existingfile" help:"A file with the hash_config { … } of a Firebase project."`
}

// Help returns the text that --help prints below the flags.
func (userImportCmd) Help() string {
	return `The file is JSON, with one object per account in sequence or in an array, or CSV with a header row.
Fields are recognized in all common spellings, such as password_hash and passwordHash:

  email          required
  passwordHash   bcrypt, Argon2, scrypt or PBKDF2 in the format of Django, Spring, PHP, passlib, Werkzeug, ASP.NET,
                 LDAP, Dovecot, Supabase or Auth0; it is replaced at the first login
  username, name (or firstName and lastName), emailVerified, roles, disabled
  id             a UUID, which is kept
  createdAt      RFC 3339 or a Unix time, which is kept

Exports from Auth0, Firebase, Keycloak and Supabase work unchanged. An unknown field is an error
unless --ignore names it. Invalid accounts are skipped and listed with their line numbers.`
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
			problems[i] = explained(problem)
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
			if u.Disabled() {
				state = "disabled"
			}
			_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
				u.ID, u.Email, username, u.Roles, u.CreatedAt.Std().Format(time.DateOnly), state)
			return err
		})
		return errors.Join(err, table.Flush())
	})
}

type userName struct {
	User string `arg:"" help:"E-mail address, username or id."`
}

// do calls f with the user that the command line names.
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

type userRoleCmd struct {
	userName
	Add    []token.Role `help:"A role to add. Can be repeated."`
	Remove []token.Role `help:"A role to remove. Can be repeated."`
}

// Validate implements kong's validation.
func (c userRoleCmd) Validate() error {
	if len(c.Add)+len(c.Remove) == 0 {
		return errors.New("give --add or --remove")
	}
	return nil
}

func (c userRoleCmd) Run(e *env) error {
	if err := e.requireRoles(c.Add); err != nil {
		return err
	}
	return c.do(e, func(a *app.App, u *account.User) error {
		// A role that the schema no longer has can still be removed from a user who has it.
		absent := slices.DeleteFunc(slices.Clone(c.Remove), func(r token.Role) bool { return u.Roles.Has(r) })
		if err := e.requireRoles(absent); err != nil {
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

func (e *env) requireRoles(roles []token.Role) error {
	for _, role := range roles {
		if !schema.HasRole(e.schema, role) {
			return fmt.Errorf("there is no role %q in the schema's enum Role", role)
		}
	}
	return nil
}

// explained replaces the text of a fault in err by its message for the caller, with all problems of an input, but
// without the cause. Internal errors and UNAVAILABLE keep the cause, because the operator needs it.
func explained(err error) error {
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
