package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Documents cite tests in code spans with the folder or file: "internal/guard TestAttacks", "internal/guard
// TestAttacks/SUBTEST", "clients/node/live.test.mjs TITLE".
var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	namesTest = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]|\.mjs `)
	titleOf   = regexp.MustCompile(`\b(?:it|test|describe)\((?:'([^']+)'|"([^"]+)"|` + "`([^`]+)`)")
)

// TestSecurityNamesTestsThatExist checks that the tests which SECURITY.md cites as proof exist.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range unproved(string(document), namedTests(t)) {
		t.Error("docs/SECURITY.md", problem)
	}
}

// namedTests returns all tests of the repository in the form in which documents cite them. Every string inside a test
// counts as the name of a subtest, because most names are in tables.
func namedTests(t *testing.T) map[string]bool {
	t.Helper()
	named := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		}
		name, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(name, "_test.go"):
			return nameGoTests(named, path, filepath.ToSlash(filepath.Dir(name)))
		case strings.HasSuffix(name, ".mjs"):
			return nameNodeTests(named, path, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return named
}

func nameGoTests(named map[string]bool, path, folder string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if !isFunc || f.Recv != nil || !namesTest.MatchString(f.Name.Name) {
			continue
		}
		name := folder + " " + f.Name.Name
		named[name] = true
		ast.Inspect(f, func(node ast.Node) bool {
			if text, isText := node.(*ast.BasicLit); isText {
				if value, err := strconv.Unquote(text.Value); err == nil {
					named[name+"/"+value] = true
				}
			}
			return true
		})
	}
	return nil
}

func nameNodeTests(named map[string]bool, path, name string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, found := range titleOf.FindAllStringSubmatch(string(text), -1) {
		named[name+" "+found[1]+found[2]+found[3]] = true
	}
	return nil
}

// unproved returns the problems of a document: unknown tests, and in the chapter "Threats and defenses" sections
// without a table and rows that do not end with a test.
func unproved(document string, named map[string]bool) (problems []string) {
	chapter, section, rows := "", "", 0
	end := func() {
		if chapter == "Threats and defenses" && section != "" && rows == 0 {
			problems = append(problems, fmt.Sprintf("section %q names no test for a defense", section))
		}
		section, rows = "", 0
	}
	for i, line := range strings.Split(document, "\n") {
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		for _, found := range codeSpan.FindAllStringSubmatch(line, -1) {
			if namesTest.MatchString(found[1]) && !named[found[1]] {
				problem("there is no test %s", found[1])
			}
		}
		switch title, isSection := strings.CutPrefix(line, "### "); {
		case isSection:
			end()
			section = title
		case strings.HasPrefix(line, "## "):
			end()
			chapter = line[3:]
		case chapter == "Threats and defenses" && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| threat "):
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			spans := codeSpan.FindAllStringSubmatch(cells[len(cells)-1], -1)
			isTest := func(span []string) bool { return namesTest.MatchString(span[1]) }
			if len(cells) < 3 || !slices.ContainsFunc(spans, isTest) {
				problem("no test is named for the defense against %q", cells[0])
				continue
			}
			rows++
		}
	}
	end()
	return problems
}

func TestUnprovedDefensesAreFound(t *testing.T) {
	t.Parallel()
	named := map[string]bool{"internal/a TestA": true, "internal/a TestA/of b": true, "clients/a.test.mjs does c": true}
	const head = "## Threats and defenses\n\n### S\n\n| threat | defense | proved by |\n|---|---|---|\n"
	for name, test := range map[string]struct {
		document string
		want     []string
	}{
		"all tests exist": {
			head + "| t | d | `internal/a TestA`, `internal/a TestA/of b` |\n| t | d | `clients/a.test.mjs does c` |\n", nil,
		},
		"another package": {
			head + "| t | d | `internal/b TestA` |\n", []string{"line 7: there is no test internal/b TestA"},
		},
		"no package": {head + "| t | d | `TestA` |\n", []string{"line 7: there is no test TestA"}},
		"another subtest": {
			head + "| t | d | `internal/a TestA/of c` |\n", []string{"line 7: there is no test internal/a TestA/of c"},
		},
		"another title": {
			head + "| t | d | `clients/a.test.mjs does d` |\n", []string{"line 7: there is no test clients/a.test.mjs does d"},
		},
		"one of two": {
			head + "| t | d | `internal/a TestA`, `internal/a TestB` |\n", []string{"line 7: there is no test internal/a TestB"},
		},
		"elsewhere in the text": {
			"# T\n\nAs `internal/a TestB` shows.\n", []string{"line 3: there is no test internal/a TestB"},
		},
		"a fuzz target": {"`internal/a FuzzA`", []string{"line 1: there is no test internal/a FuzzA"}},
		"a row without a test": {
			head + "| t | d | `internal/a TestA` |\n| u | d | believe us, `internal/a` |\n",
			[]string{`line 8: no test is named for the defense against "u"`},
		},
		"a test in another cell": {
			head + "| t | d | `internal/a TestA` |\n| u | `internal/a TestA` | – |\n",
			[]string{`line 8: no test is named for the defense against "u"`},
		},
		"a section without rows": {
			head + "| t | d | `internal/a TestA` |\n\n### U\n\nText.\n", []string{`section "U" names no test for a defense`},
		},
		"the last section":  {head + "\n## Other\n\n### V\n", []string{`section "S" names no test for a defense`}},
		"a table elsewhere": {"## Other\n\n### V\n\n| asked | answer |\n|---|---|\n| a | b |\n", nil},
	} {
		if diff := cmp.Diff(test.want, unproved(test.document, named)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNamedTestsAreFound(t *testing.T) {
	t.Parallel()
	named := namedTests(t)
	for name, want := range map[string]bool{
		"docs TestNamedTestsAreFound":                                               true,
		"internal/guard TestAttacks":                                                true,
		"internal/guard TestAttacks/behind a union":                                 true,
		"internal/session TestReuse/revokes all tokens of the session":              true,
		"clients/node/live.test.mjs continues over three expiries without an error": true,
		"internal/guard TestAttacks/behind " + "nothing":                            false,
		"internal/token TestAttacks":                                                false,
		"internal/guard NewPolicy":                                                  false,
	} {
		if named[name] != want {
			t.Errorf("%s: found %t", name, named[name])
		}
	}
}
