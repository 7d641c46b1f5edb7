package main_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// construction is an English construction that comments, help texts and documentation must not contain, with the plain
// way to say it.
type construction struct {
	pattern *regexp.Regexp
	instead string
	// refused and accepted are examples.
	refused, accepted string
}

var constructions = []construction{
	{
		regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|anybody|whoever|whomever)('s|s)?\b`),
		"name the caller, user or operator",
		"Nobody else may read it.",
		"Other users may not read it.",
	},
	{
		regexp.MustCompile(`(?i)\bwhatever (is|was|it|they|comes?|goes|has|had|may|makes?)\b`),
		`"anything that", or name the thing`,
		"Whatever is late counts as lost.",
		"It ignores retryAfter, whatever its value.",
	},
	{
		regexp.MustCompile(`(?i)\b(it|this|that|which|what|they|the [a-z]+|an? [a-z]+) (is|are|was|were) (none|no [a-z]+)\b`),
		`"is not a", "without"`,
		"What is none is refused.",
		"The value is not an integer. There is no other. It is no longer valid.",
	},
	{
		regexp.MustCompile(`(?i)\b(tells?|told|hears?|heard) of\b`),
		`"reports", "describes"`,
		"It tells of each revocation.",
		"It reports each revocation.",
	},
	{
		regexp.MustCompile(`(?i)\b(is|are) for [a-z]+ to (say|know|refuse|decide|judge)\b`),
		"make the one that acts the subject",
		"Other literals are for validation to refuse.",
		"Validation refuses other literals. The key is for tests.",
	},
	{
		regexp.MustCompile(`(?i)\banew\b`),
		`"again"`,
		"The keys are sealed anew.",
		"The keys are sealed again.",
	},
	{
		regexp.MustCompile(`(?i)\b(goes|went) on\b`),
		`"continues"`,
		"The request goes on.",
		"The request continues; the server went down.",
	},
	{
		regexp.MustCompile(`(?i)\ball the same\b`),
		`"still", "anyway"`,
		"The others are followed all the same.",
		"The results are identical.",
	},
	{
		regexp.MustCompile(`(?i)\b(is|are|was|does) no good\b`),
		`"invalid", "useless"`,
		"A token that is no good is refused.",
		"An invalid token is refused.",
	},
	{
		regexp.MustCompile(`(?i)\b(lasts?|gone|keeps?|kept|stays?|closed?|ends?|and) for good\b`),
		`"permanently"`,
		"The session is gone for good.",
		"There is a reason for good defaults.",
	},
	{
		regexp.MustCompile(`(?i)\b(of|from|to|than|for|by) what (is|are|was|it|they|a|an|the|comes?|goes)\b`),
		"name the thing",
		"The sum of what is left.",
		"The sum of the remaining bytes.",
	},
	{
		regexp.MustCompile(`(?i)\b(so long after|as it came|had best|lest)\b`),
		"say it plainly",
		"Every session ends so long after its sign-in.",
		"This is the maximum session lifetime.",
	},
	{
		regexp.MustCompile(`(?i)\b(the (guard|database|pool|server|driver|store|view|policy)) asks\b`),
		`"checks", "queries"`,
		"The guard asks who calls.",
		"The guard checks the caller.",
	},
	{
		regexp.MustCompile(`(?i)\b(database|guard|pool|view|store|ring|policy) (is|are|was|being) asked\b`),
		`"is queried", "is checked"`,
		"The database is asked again.",
		"The database is queried again.",
	},
	{
		regexp.MustCompile(`(?:^|[.:;] |\n)What (is|are|was|comes?|goes|cannot|has|had|may|must|no|they|it) [^?]*?[.;:,]`),
		"start with the noun",
		"What is late then is the processor.",
		"What is new? The processor is late.",
	},
}

// plain are uses of "is no" that are plain English.
var plain = regexp.MustCompile(`(?i) no (longer|more|less|better|worse|different|need|reason|way|other)$`)

// find returns the first occurrence of the construction in text, or "".
func (c construction) find(text string) string {
	for _, found := range c.pattern.FindAllString(text, -1) {
		if !plain.MatchString(found) {
			return strings.TrimSpace(found)
		}
	}
	return ""
}

// TestLanguage keeps the constructions out of comments, GraphQL descriptions, help texts and documentation.
func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, p := range prose(t) {
		for _, c := range constructions {
			if found := c.find(p.text); found != "" {
				t.Errorf("%s: %q: use %s", p.position, found, c.instead)
			}
		}
	}
}

func TestConstructions(t *testing.T) {
	t.Parallel()
	for _, c := range constructions {
		if c.find(c.refused) == "" {
			t.Errorf("%s accepts %q", c.pattern, c.refused)
		}
		if found := c.find(c.accepted); found != "" {
			t.Errorf("%s refuses %q in %q", c.pattern, found, c.accepted)
		}
	}
}

// passage is a piece of English text.
type passage struct{ position, text string }

// prose returns the comments and help texts of Go files, the descriptions of the schema, and the documentation.
func prose(t *testing.T) (all []passage) {
	t.Helper()
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			all = append(all, passage{s.set.Position(group.Pos()).String(), group.Text()})
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			if field, ok := node.(*ast.Field); ok && field.Tag != nil {
				all = append(all, passage{s.set.Position(field.Tag.Pos()).String(), help(field.Tag)})
			}
			return true
		})
	}
	files(t, func(name string) {
		extension := path.Ext(name)
		documented := extension == ".md" && (path.Dir(name) == "docs" || path.Dir(name) == ".")
		if extension != ".graphqls" && !documented {
			return
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			all = append(all, passage{name + ":" + strconv.Itoa(i+1), withoutCode(line)})
		}
	})
	return all
}

// help returns the help text in a struct tag.
func help(tag *ast.BasicLit) string {
	if tag.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(tag.Value)
	if err != nil {
		return ""
	}
	_, text, _ = strings.Cut(text, `help:"`)
	return text
}

var code = regexp.MustCompile("`[^`]*`")

// withoutCode removes code spans, which may contain the names of tests.
func withoutCode(line string) string { return code.ReplaceAllString(line, "") }
