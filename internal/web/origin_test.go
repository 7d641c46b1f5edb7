package web_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/web"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"*", "https://*.example.com", "null", "", "app.example.com", "https://app.example.com/", "https://app.example.com/x",
		"ftp://app.example.com", "https://", "https://ada@app.example.com"} {
		if _, err := web.NewOrigins("https://api.example.com", []string{origin}); err == nil {
			t.Errorf("%q passed as an origin", origin)
		}
	}
	if _, err := web.NewOrigins("https://api.example.com", []string{"https://app.example.com", "http://localhost:5173"}); err != nil {
		t.Error(err)
	}
}
