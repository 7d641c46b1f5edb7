// Command bare is the baseline of make bench-peers: a net/http handler that decodes the request, verifies its bearer
// token with golang-jwt and writes a user from a map. It has no GraphQL engine and no limits. Its argument is the
// address to listen on.
package main

import (
	"crypto/rand"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type user struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

type server struct {
	key    []byte
	parser *jwt.Parser
	users  map[string]user
}

func main() {
	s := server{
		key:    []byte(rand.Text() + rand.Text()),
		parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired()),
		users:  map[string]user{"1": {"1", "ada@example.com", "Ada"}},
	}
	http.HandleFunc("POST /login", s.login)
	http.HandleFunc("POST /graphql", s.me)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}

// login returns a token. Logins are not measured, so there is no password.
func (s server) login(w http.ResponseWriter, _ *http.Request) {
	claims := jwt.RegisteredClaims{Subject: "1", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(s.key)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	write(w, map[string]string{"accessToken": signed})
}

func (s server) me(w http.ResponseWriter, r *http.Request) {
	var body struct{ Query string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "invalid body", http.StatusBadRequest)
		return
	}
	var claims jwt.RegisteredClaims
	raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, err := s.parser.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return s.key, nil }); err != nil {
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	}
	write(w, map[string]any{"data": map[string]any{"me": s.users[claims.Subject]}})
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // an error means that the client is gone
}
