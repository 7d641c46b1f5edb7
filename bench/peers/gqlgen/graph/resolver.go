// Package graph contains the resolvers of a plain gqlgen server. Authentication follows gqlgen's recipe: a middleware
// puts the token's claims into the context, and each resolver checks for them.
package graph

//go:generate go tool gqlgen generate

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/graphwarden/graphwarden/bench/peers/gqlgen/graph/model"
)

// Resolver holds what the resolvers share.
type Resolver struct {
	// Key signs access tokens.
	Key []byte
	// Users are the users by id. They are not used if there is a Database.
	Users map[string]*model.User
	// Database stores users and sessions, if it is not nil.
	Database *Database
}

// Claims are those of an access token.
type Claims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
}

type claimsKey struct{}

var errUnauthenticated = errors.New("unauthenticated")

func caller(ctx context.Context) (*Claims, error) {
	claims, ok := ctx.Value(claimsKey{}).(*Claims)
	if !ok {
		return nil, errUnauthenticated
	}
	return claims, nil
}

// signIn starts a session and returns its token.
func (r *Resolver) signIn(ctx context.Context, userID string) (token string, err error) {
	now := time.Now()
	expires := now.Add(time.Hour)
	claims := Claims{jwt.RegisteredClaims{Subject: userID, ExpiresAt: jwt.NewNumericDate(expires)}, rand.Text()}
	if r.Database != nil {
		_, err := r.Database.insert.ExecContext(ctx, claims.SessionID, userID, now.UnixMicro(), expires.UnixMicro())
		if err != nil {
			return "", err
		}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(r.Key)
}

// Authenticate verifies the bearer token of each request that has one.
func (r *Resolver) Authenticate(next http.Handler) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return r.Key, nil }
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if !ok {
			next.ServeHTTP(w, req)
			return
		}
		var claims Claims
		if _, err := parser.ParseWithClaims(raw, &claims, key); err != nil {
			http.Error(w, "invalid token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), claimsKey{}, &claims)))
	})
}
