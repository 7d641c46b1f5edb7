package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"slices"
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
// template beside it makes a plain mail, so that a mail never mixes two versions. Its errors name the file.
func loadTemplates(folder string) (templates, error) {
	all := templates{"": {}}
	builtIn, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	if err := all.load(builtIn, builtIn, "."); err != nil || folder == "" {
		return all, err
	}
	own := os.DirFS(folder)
	entries, err := fs.ReadDir(own, ".")
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
		if err := all.load(own, builtIn, name); err != nil {
			return nil, fmt.Errorf("--mail-templates: %w", err)
		}
	}
	return all, nil
}

// load adds the templates of a folder. Layouts that are neither in the folder nor above it come from builtIn.
func (all templates) load(files, builtIn fs.FS, folder string) error {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return err
	}
	language := strings.TrimPrefix(strings.ToLower(folder), ".")
	if all[language] == nil {
		all[language] = map[Kind]letter{}
	}
	read := func(name string) (string, error) {
		for _, at := range []struct {
			files fs.FS
			name  string
		}{{files, path.Join(folder, name)}, {files, name}, {builtIn, name}} {
			text, err := fs.ReadFile(at.files, at.name)
			if !errors.Is(err, fs.ErrNotExist) {
				return string(text), err
			}
		}
		return "", fs.ErrNotExist
	}
	for _, entry := range entries {
		name := entry.Name()
		kind, ending, _ := strings.Cut(name, ".")
		shows, known := kinds[Kind(kind)]
		switch {
		case entry.IsDir(), strings.HasPrefix(name, "."), kind == "layout":
			continue
		case !known || ending != "txt" && ending != "html":
			return fmt.Errorf("%s is not the name of a template", path.Join(folder, name))
		case ending == "html":
			if _, err := fs.Stat(files, path.Join(folder, kind+".txt")); err != nil {
				return fmt.Errorf("%s needs a %s.txt beside it", path.Join(folder, name), kind)
			}
			continue
		}
		l, err := parse(folder, kind, read, func(name string) bool {
			_, err := fs.Stat(files, path.Join(folder, name))
			return err == nil
		})
		if err == nil {
			l.language = strings.TrimPrefix(folder, ".")
			err = l.check(shows)
		}
		if err != nil {
			return err
		}
		all[language][Kind(kind)] = l
	}
	return nil
}

// parse reads the text template of a kind and, if exists reports it, the HTML template, each with its layout.
func parse(folder, kind string, read func(string) (string, error), exists func(string) bool) (l letter, err error) {
	pair := func(ending string) (content, layout string) {
		if err == nil {
			content, err = read(kind + ending)
		}
		if err == nil {
			layout, err = read("layout" + ending)
		}
		return content, layout
	}
	name := path.Join(folder, kind)
	content, layout := pair(".txt")
	if err == nil {
		l.text, err = texttemplate.New(name + ".txt").Parse(layout)
	}
	if err == nil {
		subject, body, _ := strings.Cut(strings.ReplaceAll(content, "\r\n", "\n"), "\n\n")
		subject, found := strings.CutPrefix(subject, "Subject: ")
		if !found {
			return l, fmt.Errorf("%s.txt must begin with \"Subject: \" and an empty line after it", name)
		}
		_, err = l.text.New("content").Parse(body)
		if err == nil {
			_, err = l.text.New("subject").Parse(subject)
		}
	}
	if err != nil || !exists(kind+".html") {
		return l, err
	}
	content, layout = pair(".html")
	if err == nil {
		l.html, err = htmltemplate.New(name + ".html").Parse(layout)
	}
	if err == nil {
		_, err = l.html.New("content").Parse(content)
	}
	return l, err
}

// check executes the templates once: mistakes in the names of fields are found by execution only, and a mail without its
// link or code would be useless.
func (l letter) check(shows reveals) error {
	const sample = "https://example.com/#sample"
	v := view{Site: "Example", Link: sample, Code: sample, Data: map[string]string{}}
	made, err := l.execute(v)
	if err != nil {
		return err
	}
	switch {
	case shows == nothing:
		return nil
	case !strings.Contains(made.text, sample):
		return fmt.Errorf("%s lacks {{.Link}} or {{.Code}}", l.text.Name())
	case l.html != nil && !strings.Contains(made.html, sample):
		return fmt.Errorf("%s lacks {{.Link}} or {{.Code}}", l.html.Name())
	}
	return nil
}

// rendered is an executed letter.
type rendered struct{ subject, text, html string }

func (l letter) execute(v view) (r rendered, err error) {
	v.Language = l.language
	if v.Language == "" {
		v.Language = "en"
	}
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

// languages returns the languages besides the default, sorted.
func (all templates) languages() (names []string) {
	for name := range all {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
