package explorer_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/graphwarden/graphwarden/internal/explorer"
)

// third is the text of every third-party file in tests that do not run it.
const third = "third party"

// assets returns files with the names listed in assets.json, found in the page.
func assets(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	pattern := regexp.MustCompile(`/npm/([^@"]+)@([^/"]+)/[^"]*(\.js|\.css)"`)
	fromCDN := visit(page(t, fstest.MapFS{}), "/").Body.String()
	for _, found := range pattern.FindAllStringSubmatch(fromCDN, -1) {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		fmt.Fprint(w, third)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		files[found[1]+"-"+found[2]+found[3]+".gz"] = &fstest.MapFile{Data: compressed.Bytes()}
	}
	if len(files) != 4 {
		t.Fatalf("the page names %d third-party files", len(files))
	}
	return files
}

func page(t *testing.T, assets fs.FS) http.Handler {
	t.Helper()
	h, err := explorer.New(assets, "")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func visit(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

// links returns the URLs of the files that a page loads.
func links(page string) (urls []string) {
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		urls = append(urls, found[1])
	}
	return urls
}

func TestTheExplorerWithAssetsUsesNoOtherServer(t *testing.T) {
	t.Parallel()
	h := page(t, assets(t))
	page := visit(h, "/")
	if policy := page.Header().Get("Content-Security-Policy"); strings.Contains(policy, "//") ||
		!strings.Contains(policy, "default-src 'none'; script-src 'self';") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	if got := page.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control %q, want revalidation", got)
	}
	loaded := links(page.Body.String())
	if len(loaded) < 7 {
		t.Fatalf("the page loads only %q", loaded)
	}
	for _, url := range loaded {
		file := visit(h, url)
		if !strings.HasPrefix(url, "/explorer/") || file.Code != 200 {
			t.Errorf("%s: %d", url, file.Code)
		}
		if got := file.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", url, got)
		}
	}
}

func TestTheExplorerWithoutAnAssetUsesTheCDNWithIntegrity(t *testing.T) {
	t.Parallel()
	some := assets(t)
	for name := range some {
		delete(some, name)
		break
	}
	page := visit(page(t, some), "/")
	const origin = "https://cdn.jsdelivr.net"
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self' "+origin+";") || strings.Count(policy, "//") != 2 {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	pinned := regexp.MustCompile(`(?:src|href)="` + origin + `/npm/[a-z-]+@[0-9.]+/[^"]+" ` +
		`integrity="sha384-[A-Za-z0-9+/]{64}" crossorigin="anonymous"`)
	foreign := pinned.FindAllString(html.UnescapeString(page.Body.String()), -1)
	if len(foreign) != 4 || strings.Count(page.Body.String(), `="`+origin) != 4 {
		t.Errorf("%d pinned files in\n%s", len(foreign), page.Body)
	}
}

func TestTheExplorerNegotiatesCompression(t *testing.T) {
	t.Parallel()
	h := page(t, assets(t))
	var url string
	for _, link := range links(visit(h, "/").Body.String()) {
		if strings.Contains(link, "/graphiql-") && strings.HasSuffix(link, ".js") {
			url = link
		}
	}
	tags := map[bool]string{}
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "*": true, "br, *;q=0.1": true,
		"gzip;q=0": false, "gzip;q=0, *": false, "*, gzip;q=0": false, "identity": false, "xgzip": false,
		"gzip;q=oops": false,
	} {
		got := visit(h, url, "Accept-Encoding", accept)
		compressed := got.Header().Get("Content-Encoding") == "gzip"
		var body io.Reader = got.Body
		if compressed {
			var err error
			if body, err = gzip.NewReader(got.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if compressed != want || string(text) != third || err != nil {
			t.Errorf("Accept-Encoding %q: compressed %t, %q, %v", accept, compressed, text, err)
		}
		if got.Header().Get("Vary") != "Accept-Encoding" ||
			got.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%v", got.Header())
		}
		tags[compressed] = got.Header().Get("ETag")
	}
	if tags[true] == tags[false] {
		t.Errorf("both representations have the tag %s", tags[true])
	}
	if same := visit(h, url, "Accept-Encoding", "gzip", "If-None-Match", tags[true]); same.Code != 304 {
		t.Errorf("unchanged: %d", same.Code)
	}
}

func TestTheExplorerServesNothingElse(t *testing.T) {
	t.Parallel()
	files := assets(t)
	h := page(t, files)
	base := regexp.MustCompile(`/explorer/[0-9a-f]{16}`).FindString(visit(h, "/").Body.String())
	for _, path := range []string{
		"/other", "/explorer/", base + "/", base + "/index.html", base + "/assets.json", base + "/README.md",
		base + "/..%2Fassets.json", "/explorer/0000000000000000/main.js",
	} {
		if got := visit(h, path); got.Code != 404 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	for name := range files {
		files[name] = &fstest.MapFile{Data: []byte("not gzip")}
	}
	changed := page(t, files)
	if got := regexp.MustCompile(`/explorer/[0-9a-f]{16}`).FindString(visit(changed, "/").Body.String()); got == base {
		t.Error("changed files have the same URL, which browsers cache for a year")
	}
}
