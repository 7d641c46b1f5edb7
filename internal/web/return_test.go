package web_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
)

func TestOnlyListedAddressesAreReturnedTo(t *testing.T) {
	t.Parallel()
	o, err := web.NewOrigins("https://api.example.com/api", web.OriginOptions{
		Listed:  []string{"https://app.example.com", "https://*.preview.example.com", "capacitor://localhost"},
		Returns: []string{"com.example.app:/in", "http://127.0.0.1/in", "http://[::1]/in", "com.example.app://host/in"},
	}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"https://api.example.com/", "https://app.example.com", "https://app.example.com:443/x?y=z",
		"HTTPS://APP.example.com/", "capacitor://localhost/x", "com.example.app:/in", "com.example.app:/in?x=1",
		"com.example.app://host/in", "http://127.0.0.1/in", "http://127.0.0.1:54321/in", "http://[::1]:54321/in?x"} {
		if !o.AdmitsReturn(to) {
			t.Errorf("refused %s", to)
		}
	}
	for _, to := range []string{"", "x", "/x", "//app.example.com/", "https:app.example.com", "https:///app.example.com",
		"https://app.example.com.evil.example", "https://evil.example/https://app.example.com",
		"https://app.example.com@evil.example",
		"https://user@app.example.com/", `https://app.example.com\@evil.example`, `https://evil.example\.app.example.com`,
		"https://app.example.com/#x", "https://app.example.com/ x", "https://app.example.com/\r\nSet-Cookie:x",
		"https://app.example.com:444/", "http://app.example.com/", "https://a.preview.example.com/",
		"https://app\u2024example.com/",
		"https://app.example.c%6fm.evil.example/", "javascript:alert(1)", "data:text/html,x", "com.example.app:/out",
		"com.example.app:in", "com.example.application:/in", "com.example.app://evil/in", "http://127.0.0.1:1/out",
		"http://127.0.0.2/in", "http://localhost/in", "http://127.0.0.1.evil.example/in", "https://127.0.0.1/in",
		"https://app.example.com/" + strings.Repeat("x", 2000)} {
		if o.AdmitsReturn(to) {
			t.Errorf("admitted %q", to)
		}
	}
	for _, listed := range []string{"javascript:alert(1)", "myapp:/in", "https://app.example.com/", "http://localhost/in",
		"http://192.0.2.1/in", "com.example.app:/in#x", "com.example.app:/in?x=1", "com.example.app://u@h/", ""} {
		_, err := web.NewOrigins("https://api.example.com", web.OriginOptions{Returns: []string{listed}}, nil, nil)
		if err == nil {
			t.Errorf("listed %q", listed)
		} else if !strings.HasPrefix(err.Error(), "--return-to: ") {
			t.Error(err)
		}
	}
}
