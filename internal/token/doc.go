// Package token owns signing keys and access tokens: the key ring in the database and its life cycle, issuing,
// verification, and the public key set (JWKS).
//
// It promises that a verified token was issued by a key of this ring for this service and has not expired. It does not
// know whether the token's session is still valid; package session does.
package token
