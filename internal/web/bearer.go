package web

import (
	"errors"
	"net/http"
	"strings"
)

// Bearer returns the token of the Authorization header, or "" without that header. It refuses any scheme other than
// Bearer, and a second header, because proxies and servers may each read a different one.
func Bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errors.New("more than one Authorization header")
	}
	token, ok := CutBearer(values[0])
	if !ok || token == "" {
		return "", errors.New("not the Bearer scheme")
	}
	return token, nil
}

// CutBearer returns credentials without the scheme Bearer in front of them, and whether it was there. Schemes are
// case-insensitive (RFC 9110 section 11.1).
func CutBearer(credentials string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(credentials, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return credentials, false
	}
	return token, true
}
