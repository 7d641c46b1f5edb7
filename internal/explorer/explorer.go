package explorer

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
)

//go:embed assets assets.json index.html page
var source embed.FS

// cdn serves the files of npm packages.
const cdn = "https://cdn.jsdelivr.net"

// contentTypes are fixed, because the machine's tables may be wrong, and with nosniff the browser would run nothing.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is a file of an npm package that the page needs, as pinned in assets.json.
type asset struct {
	Package   string `json:"package"`
	Version   string `json:"version"`
	Path      string `json:"path"`      // inside the package
	Integrity string `json:"integrity"` // as the HTML attribute, which browsers check
}

func (a asset) name() string { return a.Package + "-" + a.Version + path.Ext(a.Path) }

func (a asset) isStyle() bool { return path.Ext(a.Path) == ".css" }

// explorer is the page at / and its files. Each file is compressed and has a path that changes with the content.
type explorer struct {
	files map[string][]byte
}

// Assets returns the third-party files that `make assets` stored before the build, compressed.
func Assets() fs.FS {
	assets, err := fs.Sub(source, "assets")
	if err != nil {
		panic(err) // only for a path that is malformed
	}
	return assets
}

// New makes the handler of / and /explorer/: GraphiQL with a panel for signing in. If assets lacks a file, the page
// loads all of them from a CDN, pinned by their integrity. Otherwise it contacts this server only. publicPath is the
// path of the public URL, below which the browser finds / and /graphql.
func New(assets fs.FS, publicPath string) (http.Handler, error) {
	e := &explorer{files: map[string][]byte{}}
	pinned, embedded, err := e.load(assets)
	if err != nil {
		return nil, fmt.Errorf("load the explorer: %w", err)
	}
	base, origin := "/explorer/"+e.hash(), ""
	if !embedded {
		origin = cdn
	}
	page, err := render(pinned, publicPath, base, origin)
	if err != nil {
		return nil, fmt.Errorf("make the explorer's page: %w", err)
	}
	document := web.Static("text/html; charset=utf-8", "no-cache", func() []byte { return page })
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy(origin))
		document.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET "+base+"/{file}", e.file)
	return mux, nil
}

// IsEmbedded reports whether the page of New works without a CDN.
func IsEmbedded(assets fs.FS) (bool, error) {
	_, embedded, err := (&explorer{files: map[string][]byte{}}).load(assets)
	return embedded, err
}

// policy returns a Content-Security-Policy that lets the page load its own files and those of origin, if any, and call
// this server. GraphiQL's dialogs have inline styles whose text changes, so no hash can allow them.
func policy(origin string) string {
	if origin != "" {
		origin = " " + origin
	}
	return "default-src 'none'; script-src 'self'" + origin + "; style-src 'self' 'unsafe-inline'" + origin +
		"; img-src 'self' data:; font-src data:; connect-src 'self'" +
		"; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
}

// load fills files. It returns the assets that assets.json pins, and whether it found all of them.
func (e *explorer) load(assets fs.FS) (pinned []asset, embedded bool, err error) {
	manifest, err := source.ReadFile("assets.json")
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(manifest, &pinned); err != nil {
		return nil, false, err
	}
	own, err := source.ReadDir("page")
	if err != nil {
		return nil, false, err
	}
	for _, entry := range own {
		text, err := source.ReadFile("page/" + entry.Name())
		if err != nil {
			return nil, false, err
		}
		e.files[entry.Name()] = compress(text)
	}
	for _, a := range pinned {
		compressed, err := fs.ReadFile(assets, a.name()+".gz")
		if err != nil {
			return pinned, false, nil // this version was not embedded
		}
		e.files[a.name()] = compressed
	}
	return pinned, true, nil
}

func compress(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // into memory
	_ = w.Close()
	return b.Bytes()
}

// hash returns one hash of all files, because the modules import one another without a hash of their own.
func (e *explorer) hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		fmt.Fprintf(h, "%s %d\n", name, len(e.files[name]))
		h.Write(e.files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// render returns the document. base is the path of the explorer's own files below publicPath, and origin the CDN's, or
// "" for none.
func render(pinned []asset, publicPath, base, origin string) ([]byte, error) {
	base = publicPath + base
	text, err := source.ReadFile("index.html")
	if err != nil {
		return nil, err
	}
	page, err := template.New("index.html").Parse(string(text))
	if err != nil {
		return nil, err
	}
	type link struct{ URL, Integrity string }
	var styles, scripts []link
	for _, a := range pinned {
		l := link{base + "/" + a.name(), a.Integrity}
		if origin != "" {
			l.URL = origin + "/npm/" + a.Package + "@" + a.Version + "/" + a.Path
		}
		if a.isStyle() {
			styles = append(styles, l)
		} else {
			scripts = append(scripts, l)
		}
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{
		"Base":     base,
		"Endpoint": publicPath + "/graphql",
		"CDN":      origin,
		"Styles":   styles,
		"Scripts":  scripts,
	})
	return b.Bytes(), err
}

// file serves one file, cacheable permanently. It is stored compressed, and unpacked for the few clients that do not
// accept gzip.
func (e *explorer) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	body, ok := e.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(body)
	etag := hex.EncodeToString(sum[:16])
	h := w.Header()
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		etag += "-gzip" // another representation needs another strong tag (RFC 9110 section 8.8.1)
	} else if body = unpack(body); body == nil {
		http.Error(w, "the embedded file is damaged: run `make assets` and build again", http.StatusInternalServerError)
		return
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func unpack(compressed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return text
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3). Without the header it returns false, to be safe.
func acceptsGzip(values []string) bool {
	var wildcard bool
	for _, coding := range web.ParseAccept(values) {
		switch coding.Value {
		case "gzip":
			return coding.Quality > 0
		case "*":
			wildcard = coding.Quality > 0
		}
	}
	return wildcard
}
