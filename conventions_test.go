package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/graphwarden/graphwarden"

// team stands for the packages below internal/ that the table does not name. Teams add such packages.
const team = "internal/…"

// layers is the import table. A package may import packages of later rows, its own sub-packages, and none of its own
// row; only the team's packages may import one another. The root, server.go, is "". Sub-packages stand where their
// parents stand.
var layers = [][]string{
	// From the command line to the wiring.
	{""},
	{"internal/cli"},
	{"internal/app"},
	// GraphQL and HTTP, and who may read what.
	{"graph"},
	{"internal/transport", "internal/explorer"},
	{"internal/guard"},
	// The features, the team's first. Each owns its types, its rules and its SQL.
	{team, "internal/team"},
	{"internal/signin", "internal/oauth"},
	{"internal/account"},
	{"internal/mfa", "internal/passkey"},
	{"internal/session", "internal/social"},
	{
		"internal/audit", "internal/challenge", "internal/coercion", "internal/limit", "internal/mail",
		"internal/throttle", "internal/userfile",
	},
	{"internal/token"},
	{"internal/store"},
	// Foundations, which know no feature.
	{"internal/config", "internal/observe", "internal/web"},
	{"internal/memory", "internal/password"},
	{"internal/dsn", "internal/fault", "internal/secret", "schema"},
}

// narrower lists what a package may import where the table allows more.
var narrower = map[string][]string{
	"internal/explorer":  {"internal/web"},
	"internal/transport": {"internal/coercion", "internal/fault", "internal/memory", "internal/web"},
	"internal/web":       {"internal/fault", "internal/memory"},
}

// importers lists the only packages that may import a package.
var importers = map[string][]string{
	"internal/config":  {"internal/cli", "internal/app"},
	"internal/observe": {"internal/cli", "internal/app"},
}

// ambient lists functions that only the outermost packages may call. Others take the value as a parameter, so that
// tests can replace it.
var ambient = map[string]bool{
	"os.Getenv": true, "os.LookupEnv": true, "os.Environ": true,
	"time.Now":           true,
	"context.Background": true, "context.TODO": true,
}

// outermost lists the packages that may call ambient functions.
var outermost = []string{"", "internal/cli", "internal/app"}

// ambientAllowed lists the exceptions, each with its reason.
var ambientAllowed = map[string]string{
	"internal/store/store.go time.Now":              "it is the clock of SQLite: the SQL function now_us",
	"internal/store/postgres_connector.go time.Now": "how long a socket was silent is measured by the machine's own clock",
	"internal/transport/answer.go time.Now":         "the deadline of a socket is an instant of the machine's own clock",
	"internal/transport/socket.go time.Now":         "likewise",
	"internal/transport/events.go time.Now":         "likewise",
	"internal/web/listener.go time.Now":             "likewise",
}

type source struct {
	path string // slash-separated, from the root of the module
	file *ast.File
	set  *token.FileSet
}

// unit is the row entry that a file belongs to, sub-packages included.
func (s source) unit() string { return unitOf(path.Dir(s.path)) }

// forTests reports whether the file belongs to a test, a benchmark, or a package that only tests import.
func (s source) forTests() bool { return strings.HasSuffix(s.path, "_test.go") || isForTests(s.path) }

// isForTests reports whether a folder's name says so, as in net/http/httptest. bench holds programs that measure the
// server.
func isForTests(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(folder string) bool {
		return strings.HasSuffix(folder, "test") || strings.HasSuffix(folder, "bench")
	})
}

func unitOf(folder string) string {
	parts := strings.Split(folder, "/")
	switch parts[0] {
	case ".":
		return ""
	case "internal":
		return strings.Join(parts[:min(2, len(parts))], "/")
	}
	return parts[0]
}

func rank(unit string) int {
	row := slices.IndexFunc(layers, func(row []string) bool { return slices.Contains(row, unit) })
	if row < 0 && strings.HasPrefix(unit, "internal/") {
		return rank(team)
	}
	return row
}

// files visits every hand-written file of the repository.
func files(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			skipped := []string{"node_modules", "generated", "data", "testdata"}
			if path != "." && strings.HasPrefix(name, ".") || slices.Contains(skipped, name) {
				return filepath.SkipDir
			}
			return nil
		}
		visit(filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	files(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{path, file, set})
		}
	})
	if len(all) < 10 {
		t.Fatalf("found only %d Go files: the search is broken", len(all))
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.forTests() {
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			folder, inside := strings.CutPrefix(imported, module+"/")
			if !inside {
				continue
			}
			if problem := importProblem(s.unit(), folder); problem != "" {
				t.Errorf("%s imports %s: %s", s.set.Position(spec.Pos()), folder, problem)
			}
		}
	}
}

func importProblem(from, folder string) string {
	to := unitOf(folder)
	switch {
	case isForTests(folder):
		return "that is for tests"
	case from == to:
		return ""
	case rank(from) < 0:
		return from + " has no place in the import table"
	case rank(to) < 0:
		return to + " has no place in the import table"
	case rank(from) == rank(team) && rank(to) == rank(team):
		return ""
	case rank(from) >= rank(to):
		return "imports point down only, see the import table"
	case importers[to] != nil && !slices.Contains(importers[to], from):
		return fmt.Sprintf("only %s may", strings.Join(importers[to], " and "))
	case narrower[from] != nil && !slices.Contains(narrower[from], to):
		return "it may import " + strings.Join(narrower[from], ", ") + " only"
	}
	return ""
}

func TestTheImportTableRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, folder string
		allowed      bool
	}{
		{"", "internal/cli", true},
		{"internal/store", "internal/fault", true},
		{"graph", "internal/transport", true},
		{"internal/transport", "internal/web", true},
		{"internal/throttle", "internal/web", true},
		{"graph", "graph/model", true},
		{"internal/app", "internal/config", true},
		{"internal/fault", "internal/store", false},
		{"internal/token", "internal/audit", false},
		{"internal/web", "graph", false},
		{"internal/web", "internal/observe", false},
		{"internal/transport", "graph", false},
		{"internal/transport", "internal/guard", false},
		{"internal/explorer", "internal/transport", false},
		{"internal/session", "internal/config", false},
		{"internal/config", "internal/secret", true},
		{"internal/config", "internal/store", false},
		{"internal/config", "internal/unheard", false},
		{"internal/app", "internal/store/storetest", false},
		{"unheard", "internal/fault", false},
		{"internal/app", "unheard", false},
		{"internal/app", "internal/note", true},
		{"graph", "internal/note", true},
		{"internal/note", "internal/account", true},
		{"internal/note", "internal/book", true},
		{"internal/note", "internal/guard", false},
		{"internal/note", "graph", false},
		{"internal/note", "internal/config", false},
		{"internal/account", "internal/note", false},
	} {
		if problem := importProblem(test.from, test.folder); (problem == "") != test.allowed {
			t.Errorf("%q imports %q: %q, want allowed: %t", test.from, test.folder, problem, test.allowed)
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.path, "_test.go") {
			folder := path.Dir(s.path)
			documented[folder] = documented[folder] || s.file.Doc != nil
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", folder)
		}
	}
}

func TestAmbientValuesEnterAtTheOutside(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.forTests() || slices.Contains(outermost, s.unit()) {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			base, ok := selector.X.(*ast.Ident)
			if !ok || !ambient[base.Name+"."+selector.Sel.Name] {
				return true
			}
			name := base.Name + "." + selector.Sel.Name
			exception := s.path + " " + name
			if used[exception] = true; ambientAllowed[exception] == "" {
				t.Errorf(
					"%s: %s only enters in server.go, internal/cli and internal/app: take it as a parameter",
					s.set.Position(node.Pos()), name,
				)
			}
			return true
		})
	}
	for exception := range ambientAllowed {
		if !used[exception] {
			t.Errorf("the exception %q is not needed any more", exception)
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, declaration := range s.file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init; call it from where it is needed", s.set.Position(f.Pos()))
			}
		}
	}
}

// Postponed work belongs in the issue tracker.
func TestNothingIsPutOffInAComment(t *testing.T) {
	t.Parallel()
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	written := []string{".go", ".graphqls", ".sql", ".md", ".yml", ".yaml", ".sh", ".ts", ".tsx", ".mjs", ".js"}
	files(t, func(path string) {
		if !slices.Contains(written, filepath.Ext(path)) {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if path != "conventions_test.go" && mark.MatchString(line) {
				t.Errorf("%s:%d: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	})
}

// Only the command line may act without a caller: session.Authorize accepts an audit.Actor that is an Operator.
func TestOnlyTheCommandLineIsAnOperator(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.forTests() || s.unit() == "internal/cli" {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			set := false
			switch node := node.(type) {
			case *ast.KeyValueExpr:
				key, ok := node.Key.(*ast.Ident)
				set = ok && key.Name == "Operator"
			case *ast.AssignStmt:
				set = slices.ContainsFunc(node.Lhs, func(to ast.Expr) bool {
					selector, ok := to.(*ast.SelectorExpr)
					return ok && selector.Sel.Name == "Operator"
				})
			}
			if set {
				t.Errorf("%s: Operator is set outside internal/cli", s.set.Position(node.Pos()))
			}
			return true
		})
	}
}
