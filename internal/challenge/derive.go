package challenge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// A secret is derived from the deployment's secret and the row of its challenge, so that it is stored nowhere. The
// row's nonce, which no answer contains, keeps a thief of the deployment's secret from computing the code of a
// challenge whose id they know.

const (
	idSize  = 16 // bytes of an id and of a nonce
	macSize = sha256.Size
)

// RevealOpen returns the secret of the challenge id: the token of a link, or a code. The secret is empty if the challenge
// was used, is void or has expired.
func (s *Service) RevealOpen(ctx context.Context, id string) (secret string, err error) {
	var r row
	err = s.db.Get(ctx, &r, "SELECT "+columns+` FROM challenges
		WHERE id = $1 AND used_at IS NULL AND expires_at > now_us()`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reveal challenge: %w", err)
	}
	return r.secret(s.keys[0]), nil
}

// Reveal returns the secret of the challenge that a reference from Issue names, without reading the database.
func (s *Service) Reveal(reference string) (secret string, err error) {
	parts := strings.Split(reference, " ")
	if len(parts) != 3 || !isID(parts[1]) {
		return "", fmt.Errorf("reveal challenge: malformed reference")
	}
	r := row{ID: parts[1], Kind: Kind(parts[0]), Nonce: parts[2]}
	return r.secret(s.keys[0]), nil
}

func (r *row) secret(key []byte) string {
	if r.Kind.isCode() {
		return r.code(key)
	}
	return r.token(key)
}

// mac authenticates the challenge. Fields end in NUL, which none of them contains. round is for code.
func (r *row) mac(key []byte, round byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(string(r.Kind) + "\x00" + r.ID + "\x00" + r.Nonce + "\x00"))
	h.Write([]byte{round})
	return h.Sum(nil)
}

// token returns the token of a link: the id and a MAC of 256 bits, base64url.
func (r *row) token(key []byte) string {
	id, _ := base64.RawURLEncoding.DecodeString(r.ID)
	return base64.RawURLEncoding.EncodeToString(append(id, r.mac(key, 0)...))
}

func (r *row) hasToken(key, mac []byte) bool { return hmac.Equal(r.mac(key, 0), mac) }

// splitToken returns the id and the MAC in a token. It returns empty ones for malformed text, which then costs the same
// query as an unknown token.
func splitToken(token string) (id string, mac []byte) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != idSize+macSize || strings.ContainsAny(token, "\r\n") { // which decoding skips
		return "", nil
	}
	return base64.RawURLEncoding.EncodeToString(raw[:idSize]), raw[idSize:]
}

func isID(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == idSize && !strings.ContainsAny(text, "\r\n")
}

// codes is the number of codes, which have six digits.
const codes = 1_000_000

// code returns the code of the challenge. It rejects numbers of the last, incomplete million, so that all codes are
// equally likely.
func (r *row) code(key []byte) string {
	for round := byte(0); ; round++ {
		n := binary.BigEndian.Uint64(r.mac(key, round))
		if n < math.MaxUint64/codes*codes {
			return fmt.Sprintf("%06d", n%codes)
		}
	}
}

func (r *row) hasCode(key []byte, code string) bool {
	return subtle.ConstantTimeCompare([]byte(r.code(key)), []byte(code)) == 1
}
