package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
)

// sum is a hash function for PBKDF2. round is the number of iterations in the time of one bcrypt round.
type sum struct {
	new   func() hash.Hash
	size  uint64
	round uint64
}

var (
	sha1Sum   = sum{sha1.New, sha1.Size, 280}
	sha256Sum = sum{sha256.New, sha256.Size, 220}
	sha512Sum = sum{sha512.New, sha512.Size, 135}
)

type parser = func(rest string) (*Hash, error)

// djangoPBKDF2 parses ITERATIONS$salt$sum with a plain-text salt.
func djangoPBKDF2(s sum) parser {
	return func(rest string) (*Hash, error) {
		p := split(rest, "$", 3)
		iterations := p.number(p.fields[0])
		return s.hash(p, iterations, []byte(p.fields[1]), p.bytes(p.fields[2]))
	}
}

// werkzeugPBKDF2 parses ITERATIONS$salt$sum with a plain-text salt and the sum in hex.
func werkzeugPBKDF2(s sum) parser {
	return func(rest string) (*Hash, error) {
		p := split(rest, "$", 3)
		iterations := p.number(p.fields[0])
		return s.hash(p, iterations, []byte(p.fields[1]), p.hex(p.fields[2]))
	}
}

// phcPBKDF2 parses passlib's ITERATIONS$salt$sum, or i=ITERATIONS,l=LENGTH$salt$sum.
func phcPBKDF2(s sum) parser {
	return func(rest string) (*Hash, error) {
		p := split(rest, "$", 3)
		iterations := p.fields[0]
		if strings.Contains(iterations, "=") {
			iterations = p.parameters(iterations, "i", "l")[0] // the sum determines the length
		}
		return s.hash(p, p.number(iterations), p.bytes(p.fields[1]), p.bytes(p.fields[2]))
	}
}

func (s sum) hash(p *parts, iterations uint64, salt, want []byte) (*Hash, error) {
	if p.bad {
		return nil, errMalformed
	}
	blocks := (uint64(len(want)) + s.size - 1) / s.size
	return bounded(iterations*blocks/s.round, 0, salt, want, func(password []byte) []byte {
		key, err := pbkdf2.Key(s.new, string(password), salt, int(iterations), len(want))
		if err != nil {
			return nil // never matches
		}
		return key
	})
}

// parseIdentity parses the base64 of ASP.NET Core Identity: format 1, which contains its parameters, and format 0 of
// ASP.NET Identity 2.
func parseIdentity(text string) (*Hash, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errUnknown
	}
	if len(raw) == 1+16+32 && raw[0] == 0 {
		return sha1Sum.hash(&parts{}, 1000, raw[1:17], raw[17:])
	}
	if len(raw) < 13 || raw[0] != 1 {
		return nil, errUnknown
	}
	sums := []sum{sha1Sum, sha256Sum, sha512Sum}
	number := func(at int) uint64 { return uint64(binary.BigEndian.Uint32(raw[at:])) }
	function, iterations, saltLength := number(1), number(5), number(9)
	rest := raw[13:]
	if function >= uint64(len(sums)) || iterations == 0 || saltLength > uint64(len(rest)) {
		return nil, errMalformed
	}
	return sums[function].hash(&parts{}, iterations, rest[:saltLength], rest[saltLength:])
}
