package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestYourTypes follows docs/YOUR-TYPES.md in a copy of the repository, and runs its tests.
func TestYourTypes(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../schema/note.graphqls"); err == nil ||
		!strings.Contains(read(t, "../internal/team/team.go"), "type Services struct{}") {
		t.Skip("this repository already has its own types, which conflict with the tutorial")
	}
	dir := copyRepository(t)
	doc, err := os.ReadFile("YOUR-TYPES.md")
	if err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile("(?m)^`([^`]+)`\n\n```\\w+\n((?s:.*?))^```$").FindAllStringSubmatch(string(doc), -1)
	if len(files) != 6 {
		t.Fatalf("the tutorial names %d files", len(files))
	}
	for _, file := range files {
		write(t, filepath.Join(dir, file[1]), file[2])
	}
	config := filepath.Join(dir, "gqlgen.yml")
	write(t, config, read(t, config)+block(t, string(doc), "yaml\n"))
	inside(t, dir, "go", "generate", ".")

	resolvers := filepath.Join(dir, "graph/note.resolvers.go")
	write(t, resolvers, replaceBodies(t, read(t, resolvers), block(t, string(doc), "go\nfunc ")))
	inside(t, dir, "go", "test", "-count=1", "./graph", "-run", "TestPolicy", "-update")
	policy := read(t, filepath.Join(dir, "graph/testdata/policy.txt"))
	for _, rule := range []string{
		`Note\.secret +@auth\(owner: true\)`, `Note\.text +@auth\(roles: \[ADMIN EDITOR\], owner: true\)`,
		`Query\.allNotes +@auth\(roles: \[ADMIN EDITOR\]\)`,
	} {
		if !regexp.MustCompile(rule).MatchString(policy) {
			t.Errorf("the policy lacks %s", rule)
		}
	}
	out := inside(t, dir, "go", "test", "-count=1", "-v", ".", "./graph", "-run", judgesTypes)
	for _, passed := range []string{
		"--- PASS: TestNotes", "--- PASS: TestPolicy", "--- PASS: TestImportsPointDown", "--- PASS: TestHostileValues",
		"Note.secret",
	} {
		if !strings.Contains(out, passed) {
			t.Errorf("the tests of the copy lack %q:\n%s", passed, out)
		}
	}
}

// judgesTypes matches the tests that check all types of the schema or all source files, including a team's.
const judgesTypes = "TestNotes|TestPolicy|Matrix|Sensitive|Described|TestEnums|TestHostileValues|TestIntegers|" +
	"TestImports|TestEveryPackage|TestAmbient|TestNothingRuns|TestNothingIsPut"

// copyRepository copies every file that git tracks or does not ignore.
func copyRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range strings.Fields(inside(t, "..", "git", "ls-files", "-co", "--exclude-standard")) {
		original := filepath.Join("..", name)
		if _, err := os.Stat(original); err == nil { // git also lists deleted files until the commit
			write(t, filepath.Join(dir, name), read(t, original))
		}
	}
	return dir
}

// block returns the first fenced block of doc that starts with start, without its language.
func block(t *testing.T, doc, start string) string {
	t.Helper()
	_, after, ok := strings.Cut(doc, "```"+start)
	if !ok {
		t.Fatalf("the tutorial has no block %q", start)
	}
	body, _, _ := strings.Cut(after, "```")
	_, keyword, _ := strings.Cut(start, "\n")
	return keyword + body
}

// replaceBodies replaces the generated stubs with the functions of source, and fixes the imports.
func replaceBodies(t *testing.T, stubs, source string) string {
	t.Helper()
	function := regexp.MustCompile(`(?ms)^func \(r \*\w+\) (\w+)\(.*?^}\n`)
	for _, f := range function.FindAllStringSubmatch(source, -1) {
		stub := regexp.MustCompile(`(?ms)^func \(r \*\w+\) ` + f[1] + `\(.*?^}\n`)
		if !stub.MatchString(stubs) {
			t.Fatalf("the generator created no %s:\n%s", f[1], stubs)
		}
		stubs = stub.ReplaceAllLiteralString(stubs, f[0])
	}
	stubs = strings.Replace(stubs, "\t\"fmt\"\n", "", 1)
	return strings.Replace(
		stubs, "internal/note\"\n", "internal/note\"\n\t\"github.com/graphwarden/graphwarden/internal/guard\"\n", 1,
	)
}

func inside(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
