package cli

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"os"

	"github.com/graphwarden/graphwarden/internal/password"
)

type breachedBuildCmd struct {
	Input          []string `arg:"" type:"existingfile" help:"Files with one password or SHA-1 hash per line."`
	Out            string   `default:"breached.gwb" help:"The file to write."`
	FalsePositives float64  `default:"0.001" help:"Share of other passwords that the list seems to contain."`
}

// Help returns the text that --help prints below the flags.
func (breachedBuildCmd) Help() string {
	return `A line is HASH:COUNT or HASH, as Have I Been Pwned publishes SHA-1 hashes, or the password itself.
The list is a Bloom filter: it contains no passwords, and takes 14 bits for each with the default rate. It is built in
memory. A running server reads the new file at SIGHUP.`
}

// Validate implements the validation of the parser.
func (c breachedBuildCmd) Validate() error {
	if c.FalsePositives < password.MinFalsePositives || c.FalsePositives > password.MaxFalsePositives {
		return errors.New("--false-positives must be from 0.000001 to 0.01")
	}
	return nil
}

func (c breachedBuildCmd) Run(e *env) error {
	count := uint64(0)
	if err := c.read(func([sha1.Size]byte) { count++ }); err != nil {
		return err
	}
	if count == 0 {
		return errors.New("the input contains no passwords")
	}
	builder := password.NewBreachedBuilder(count, c.FalsePositives)
	if err := c.read(builder.Add); err != nil {
		return err
	}
	size, err := c.write(builder)
	if err != nil {
		return fmt.Errorf("cannot write the list: %w", err)
	}
	_, err = fmt.Fprintf(e.out, "Wrote %s: %s, %d bytes.\n", c.Out, plural(int(count), "password"), size)
	return err
}

// read calls f with the hash of each password of all input.
func (c breachedBuildCmd) read(f func([sha1.Size]byte)) error {
	for _, path := range c.Input {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("cannot read the passwords: %w", err)
		}
		err = password.ReadBreached(file, f)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("cannot read the passwords in %s: %w", path, err)
		}
	}
	return nil
}

// write replaces the list by renaming a complete file, because a running server reads the old one in place.
func (c breachedBuildCmd) write(b *password.BreachedBuilder) (size int64, err error) {
	unfinished := c.Out + ".tmp"
	file, err := os.Create(unfinished)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(unfinished) }() // has no effect after the rename
	size, err = b.WriteTo(file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(unfinished, c.Out)
}
