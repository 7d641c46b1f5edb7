package session

import (
	"log/slog"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// warnSkew is half of the skew at which other replicas refuse the tokens of one that is ahead.
	warnSkew = token.Leeway / 2
	// calmSkew ends the warning. It is below warnSkew, so that a clock at the limit does not fill the log.
	calmSkew = warnSkew / 2
)

// moment is an instant on both clocks of this machine. The monotonic clock cannot be set, but may stand still while the
// machine sleeps. The wall clock decides when tokens expire.
type moment struct {
	monotonic time.Duration // since View.base
	wall      store.Time
}

func (v *View) moment(now time.Time) moment { return moment{now.Sub(v.base), store.TimeOf(now)} }

// untilFrom returns when an entry made now may be removed: a life later on both clocks. On the wall clock it counts
// from the latest time so far, because a token issued then is still valid that long after the clock was set back.
func (v *View) untilFrom(now moment) moment {
	return moment{now.monotonic + v.life, max(now.wall, v.latest).Add(v.life)}
}

// reached reports whether m is at or after until on both clocks.
func (m moment) reached(until moment) bool {
	return m.monotonic >= until.monotonic && m.wall >= until.wall
}

// Skew returns how far this machine's clock was ahead of the database's at the last successful poll. It is negative if
// the clock was behind. The duration of the query counts in favor of a small skew.
func (v *View) Skew() time.Duration { return time.Duration(v.skew.Load()) }

// CheckClock returns UNAVAILABLE with CLOCK_SKEW while this machine's clock and the database's differ too much. Tokens
// are judged by the one and revocations by the other: a token issued or accepted by a wrong clock could outlive its
// revocation.
func (v *View) CheckClock() error {
	if v.Skew().Abs() > v.options.MaxSkew {
		return fault.Busy(fault.ClockSkew, "the clocks of this server and its database disagree", 2*time.Second)
	}
	return nil
}

// logSkew logs once when the clocks differ, and once when they agree again. It returns whether they differ.
func (v *View) logSkew(log *slog.Logger, apart bool) bool {
	switch skew := v.Skew(); {
	case !apart && skew.Abs() > warnSkew:
		log.Warn("the clocks of this machine and of the database are apart; guarded fields are refused beyond the bound",
			"ahead", skew.Round(time.Millisecond), "bound", v.options.MaxSkew)
		return true
	case apart && skew.Abs() < calmSkew:
		log.Info("the clocks of this machine and of the database agree again")
		return false
	}
	return apart
}
