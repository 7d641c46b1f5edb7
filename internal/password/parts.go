package password

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// parts takes a hash apart. A fault sets bad; the caller checks it once, after reading all parts.
type parts struct {
	fields []string
	bad    bool
}

// split expects n fields between separators.
func split(text, separator string, n int) *parts {
	fields := strings.Split(text, separator)
	if len(fields) != n {
		return &parts{make([]string, n), true}
	}
	return &parts{fields: fields}
}

// number reads a positive decimal number of up to 32 bits without a sign.
func (p *parts) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 32)
	p.bad = p.bad || err != nil || n == 0
	return n
}

// bytes reads base64 in the standard and the URL alphabet, and in passlib's, which has a dot for the plus.
// Padding is optional.
func (p *parts) bytes(text string) []byte {
	text = strings.NewReplacer("-", "+", "_", "/", ".", "+").Replace(strings.TrimRight(text, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	p.bad = p.bad || err != nil
	return b
}

func (p *parts) hex(text string) []byte {
	b, err := hex.DecodeString(text)
	p.bad = p.bad || err != nil
	return b
}

// parameters reads name=value,… with exactly the names asked for, in this order.
func (p *parts) parameters(text string, names ...string) []string {
	values := make([]string, len(names))
	pairs := strings.Split(text, ",")
	if len(pairs) != len(names) {
		p.bad = true
		return values
	}
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		p.bad = p.bad || name != names[i]
		values[i] = value
	}
	return values
}
