package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// rangeOf returns the least and the greatest value in the tag range of a setting; empty for no bound.
func rangeOf(setting *kong.Value) (low, high string) {
	low, high, _ = strings.Cut(setting.Tag.Get("range"), "..")
	return low, high
}

// rangeProblems checks every setting that has a range.
func (c *Config) rangeProblems() []string {
	parser, err := kong.New(c, kong.NoDefaultHelp())
	if err != nil {
		return []string{err.Error()}
	}
	var p check
	for _, flag := range parser.Model.Flags {
		low, high := rangeOf(flag.Value)
		if low == "" {
			continue
		}
		isAbove := number(flag.Target) >= bound(flag.Target, low)
		if high == "" {
			p.need(isAbove, "--%s must be at least %s", flag.Name, low)
			continue
		}
		isBelow := number(flag.Target) <= bound(flag.Target, high)
		p.need(isAbove && isBelow, "--%s must be from %s to %s", flag.Name, low, high)
	}
	return p
}

// number returns what the range of a setting bounds: of a rate, the attempts.
func number(setting reflect.Value) int64 {
	if rate, ok := setting.Interface().(Rate); ok {
		return int64(rate.Burst)
	}
	return setting.Int()
}

// bound reads a bound of a setting. A bound that is not a number is a mistake in this package.
func bound(setting reflect.Value, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if setting.Type() == reflect.TypeFor[time.Duration]() {
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d)
	}
	if err != nil {
		panic(fmt.Sprintf("tag range: %v", err))
	}
	return n
}

// Help returns the help text of a setting with its range and its environment variable, for kong.ValueFormatter.
func Help(setting *kong.Value) string {
	ranged := *setting
	help := strings.TrimSuffix(setting.Help, ".")
	switch low, high := rangeOf(setting); {
	case high != "":
		ranged.Help = fmt.Sprintf("%s (%s to %s).", help, low, high)
	case low != "":
		ranged.Help = fmt.Sprintf("%s (at least %s).", help, low)
	}
	return kong.DefaultHelpValueFormatter(&ranged)
}
