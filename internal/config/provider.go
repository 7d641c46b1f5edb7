package config

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// Provider is one value of --provider. Formatting or logging it does not print it, because it contains a secret.
type Provider string

const redactedProvider = "[provider]"

// String keeps the value out of fmt.
func (Provider) String() string { return redactedProvider }

// GoString keeps the value out of %#v.
func (Provider) GoString() string { return redactedProvider }

// LogValue keeps the value out of slog.
func (Provider) LogValue() slog.Value { return slog.StringValue(redactedProvider) }

// pair is KEY=VALUE. Quotes let a value contain blanks.
var pair = regexp.MustCompile(`^\s+([a-z-]+)=("[^"]*"|[^"\s]\S*)`)

// Split returns the name of the provider and its settings. Its errors do not contain the value.
func (p Provider) Split() (name string, settings map[string]string, err error) {
	text := strings.TrimSpace(string(p))
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		end = len(text)
	}
	name, settings = text[:end], map[string]string{}
	for text = text[end:]; text != ""; {
		found := pair.FindStringSubmatch(text)
		if found == nil {
			return "", nil, errors.New("--provider must be a name, then KEY=VALUE with blanks between")
		}
		if _, isTwice := settings[found[1]]; isTwice {
			return "", nil, fmt.Errorf("--provider: %s is given twice", found[1])
		}
		settings[found[1]] = strings.Trim(found[2], `"`)
		text = text[len(found[0]):]
	}
	return name, settings, nil
}

// Providers returns the values that are not blank: a variable made from a file ends in a line break.
func (f *Federation) Providers() (list []Provider) {
	for _, one := range f.Provider {
		if strings.TrimSpace(string(one)) != "" {
			list = append(list, one)
		}
	}
	return list
}

func (f *Federation) problems() []string {
	var p check
	for _, one := range f.Providers() {
		_, _, err := one.Split()
		p.need(err == nil, "%v", err)
	}
	return p
}
