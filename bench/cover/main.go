// Command cover reads a coverage profile of go test and prints the coverage of each given package. It exits with 1 if a
// package is below the minimum. With -coverpkg, every test binary reports every block; a block is covered if any of
// them ran it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

func main() {
	profile := flag.String("profile", "coverage.out", "coverage profile")
	minimum := flag.Float64("min", 85, "minimum coverage of each package, in percent")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: cover [-profile FILE] [-min PERCENT] PACKAGE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	ok, err := run(*profile, *minimum, flag.Args(), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(profile string, minimum float64, packages []string, out io.Writer) (ok bool, err error) {
	file, err := os.Open(profile)
	if err != nil {
		return false, err
	}
	defer file.Close()
	blocks, err := parse(file)
	if err != nil {
		return false, fmt.Errorf("%s: %w", profile, err)
	}
	ok = true
	for _, name := range packages {
		percent := coverage(blocks, name)
		verdict := ""
		if percent < minimum {
			ok, verdict = false, fmt.Sprintf("  below %g %%", minimum)
		}
		fmt.Fprintf(out, "%-10s %5.1f %%%s\n", name, percent, verdict)
	}
	return ok, nil
}

// block is one basic block of the profile.
type block struct {
	statements int
	covered    bool
}

// parse reads a profile into its blocks, keyed by "FILE:START,END". The format is that of
// golang.org/x/tools/cover: a mode line, then "FILE:START,END STATEMENTS COUNT" lines.
func parse(r io.Reader) (map[string]block, error) {
	blocks := map[string]block{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode:") {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("malformed line %q", lines.Text())
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("statements of %q: %w", lines.Text(), err)
		}
		b := blocks[fields[0]]
		b.statements, b.covered = statements, b.covered || fields[2] != "0"
		blocks[fields[0]] = b
	}
	return blocks, lines.Err()
}

// coverage returns the percentage of covered statements in the package whose folder has the given name, or 0 if the
// profile has no such package.
func coverage(blocks map[string]block, name string) float64 {
	all, covered := 0, 0
	for key, b := range blocks {
		file, _, _ := strings.Cut(key, ":")
		if path.Base(path.Dir(file)) != name {
			continue
		}
		all += b.statements
		if b.covered {
			covered += b.statements
		}
	}
	return 100 * float64(covered) / float64(max(all, 1))
}
