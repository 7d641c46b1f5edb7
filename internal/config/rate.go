package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is a limit such as 20/15m: it lets Burst attempts through at once, then one every Per/Burst.
type Rate struct {
	Burst int
	Per   time.Duration
}

// UnmarshalText reads a rate. Its range is checked by Complete.
func (r *Rate) UnmarshalText(text []byte) error {
	burst, per, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(burst)
	if err != nil {
		return errRate(text)
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < time.Second {
		return errRate(text)
	}
	r.Burst, r.Per = n, d
	return nil
}

func errRate(text []byte) error {
	return fmt.Errorf("%q is not a rate: write attempts and a time of at least 1s, such as 20/15m", text)
}
