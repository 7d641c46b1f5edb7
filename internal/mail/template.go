package mail

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"strings"
	texttemplate "text/template"
	"time"
)

//go:embed templates
var embedded embed.FS

// view is what a template shows.
type view struct {
	Site     string // the name of the sender
	Language string
	Link     string
	Code     string
	Expires  time.Time // in UTC
	Data     map[string]string
}

// letter is the template of a kind in one language. Without html, the mail is plain text.
type letter struct {
	language string
	text     *texttemplate.Template
	html     *htmltemplate.Template
}

// templates holds the letters by language, in lower case, and kind. The language "" is the default.
type templates map[string]map[Kind]letter

// loadTemplates reads the built-in templates, then those of folder, if it is not empty: KIND.txt and KIND.html replace
// the built-in ones, and LANGUAGE/KIND.txt and LANGUAGE/KIND.html add a language. A text template without an HTML
// template beside it makes a plain mail, so that a mail never mixes two versions. The layouts are layout.txt and
// layout.html. Its errors name the file.
func loadTemplates(folder string) (templates, error) {
	all := templates{"": {}}
	builtIn, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return all, all.load(source{builtIn, builtIn, builtIn, "."})
	}
	own := os.DirFS(folder)
	entries, err := fs.ReadDir(own, ".")
	if err == nil {
		err = all.load(source{builtIn, own, builtIn, "."})
	}
	if err != nil {
		return nil, fmt.Errorf("--mail-templates: %w", err)
	}
	folders := []string{"."}
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			folders = append(folders, entry.Name())
		}
	}
	for _, name := range folders {
		if err := all.load(source{own, own, builtIn, name}); err != nil {
			return nil, fmt.Errorf("--mail-templates: %w", err)
		}
	}
	return all, nil
}

// load adds the templates of a folder.
func (all templates) load(s source) error {
	entries, err := fs.ReadDir(s.files, s.folder)
	if err != nil {
		return err
	}
	language := strings.TrimPrefix(s.folder, ".")
	letters := map[Kind]letter{}
	if language == "" {
		letters = all[""] // those of the team replace the built-in ones
	}
	for _, entry := range entries {
		name, ending, _ := strings.Cut(entry.Name(), ".")
		kind := Kind(name)
		_, known := kinds[kind]
		switch {
		case entry.IsDir(), name == "", name == "layout":
			continue
		case !known || ending != "txt" && ending != "html":
			return fmt.Errorf("%s is not the name of a template", path.Join(s.folder, entry.Name()))
		case ending == "html":
			if _, err := fs.Stat(s.files, path.Join(s.folder, name+".txt")); err != nil {
				return fmt.Errorf("%s needs %s.txt beside it", path.Join(s.folder, entry.Name()), name)
			}
			continue
		}
		l := letter{language: cmp.Or(language, "en")}
		if l.text, err = s.text(name + ".txt"); err != nil {
			return fmt.Errorf("%s.txt: %w", path.Join(s.folder, name), err)
		}
		l.html, err = s.html(name + ".html")
		if err == nil {
			err = l.check(kind)
		}
		if err != nil {
			return fmt.Errorf("%s.html or .txt: %w", path.Join(s.folder, name), err)
		}
		letters[kind] = l
	}
	all[strings.ToLower(language)] = letters
	return nil
}

// source is a folder with templates. Layouts that it lacks come from layouts, or else from builtIn.
type source struct {
	files, layouts, builtIn fs.FS
	folder                  string
}

// layout reads a layout. The built-in templates have the layout of the team, too.
func (s source) layout(name string) (string, error) {
	text, err := []byte(nil), fs.ErrNotExist
	if s.folder != "." {
		text, err = fs.ReadFile(s.files, path.Join(s.folder, name))
	}
	for _, files := range []fs.FS{s.layouts, s.builtIn} {
		if errors.Is(err, fs.ErrNotExist) {
			text, err = fs.ReadFile(files, name)
		}
	}
	return string(text), err
}

// text parses a text template: the line of the subject, an empty line, and the content.
func (s source) text(name string) (*texttemplate.Template, error) {
	raw, err := fs.ReadFile(s.files, path.Join(s.folder, name))
	if err != nil {
		return nil, err
	}
	layout, err := s.layout("layout.txt")
	if err != nil {
		return nil, err
	}
	subject, content, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n\n")
	subject, found := strings.CutPrefix(subject, "Subject: ")
	if !found {
		return nil, errors.New(`it must begin with "Subject: " and an empty line`)
	}
	t, err := texttemplate.New("layout").Parse(layout)
	if err == nil {
		_, err = t.New("content").Parse(content)
	}
	if err == nil {
		_, err = t.New("subject").Parse(subject)
	}
	return t, err
}

// html parses an HTML template, or returns nil if there is none.
func (s source) html(name string) (*htmltemplate.Template, error) {
	content, err := fs.ReadFile(s.files, path.Join(s.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	layout, err := s.layout("layout.html")
	if err != nil {
		return nil, err
	}
	t, err := htmltemplate.New("layout").ParseFS(s.builtIn, "layout.html") // defines address
	if err == nil {
		t, err = t.New("layout").Parse(layout)
	}
	if err == nil {
		_, err = t.New("content").Parse(string(content))
	}
	return t, err
}

// check executes the templates once: only execution finds mistakes in the names of fields, and a mail without its
// link or code would be useless.
func (l letter) check(kind Kind) error {
	const sample = "https://example.com/#sample"
	made, err := l.execute(view{Site: "Example", Link: sample, Code: sample})
	if err != nil {
		return err
	}
	lacks := !strings.Contains(made.text, sample) || l.html != nil && !strings.Contains(made.html, sample)
	if kinds[kind] != nothing && lacks {
		return errors.New("it lacks {{.Link}} or {{.Code}}")
	}
	return nil
}

// rendered is an executed letter.
type rendered struct{ subject, text, html string }

func (l letter) execute(v view) (r rendered, err error) {
	v.Language = l.language
	var subject, text, html strings.Builder
	err = l.text.ExecuteTemplate(&subject, "subject", v)
	if err == nil {
		err = l.text.Execute(&text, v)
	}
	if err == nil && l.html != nil {
		err = l.html.Execute(&html, v)
	}
	return rendered{strings.Join(strings.Fields(subject.String()), " "), text.String(), html.String()}, err
}

// find returns the letter of a kind for a locale, such as de-AT: that of de-AT, of de, or the default.
func (all templates) find(kind Kind, locale string) letter {
	language := strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	for {
		if l, found := all[language][kind]; found || language == "" {
			return l
		}
		language = language[:max(0, strings.LastIndexByte(language, '-'))]
	}
}
