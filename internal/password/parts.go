package password

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// parts reads the parts of a hash. An error sets bad, which the caller checks after reading all parts.
type parts struct {
	fields []string
	bad    bool
}

// split splits text into exactly n fields.
func split(text, separator string, n int) *parts {
	fields := strings.Split(text, separator)
	if len(fields) != n {
		return &parts{make([]string, n), true}
	}
	return &parts{fields: fields}
}

// number parses a positive decimal number of at most 32 bits without a sign.
func (p *parts) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 32)
	p.bad = p.bad || err != nil || n == 0
	return n
}

// bytes decodes base64 in the standard alphabet, the URL alphabet, or that of passlib, which has a dot instead of the
// plus sign. Padding is optional.
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

// parameters returns the values of name=value,… and requires exactly these names in this order.
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
