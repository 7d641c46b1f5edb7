package session

import (
	"log/slog"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// warnSkew is half of what makes other replicas refuse the tokens of one that is ahead.
	warnSkew = token.Leeway / 2
	// calmSkew ends the warning; the gap keeps clocks at the edge from filling the log.
	calmSkew = warnSkew / 2
)

// moment is an instant by both clocks of this machine: the monotonic one, which nobody can set and which may stand
// still while the machine sleeps, and the wall clock, by which tokens live.
type moment struct {
	monotonic time.Duration // since View.base
	wall      store.Time
}

func (v *View) moment(now time.Time) moment { return moment{now.Sub(v.base), store.TimeOf(now)} }

// untilFrom is when an entry made now may go: by both clocks, a life later. By the wall clock it counts from the
// latest time shown, since a token issued then lives that long after the clock was set back.
func (v *View) untilFrom(now moment) moment {
	return moment{now.monotonic + v.life, max(now.wall, v.latest).Add(v.life)}
}

// reached reports whether until has passed by both clocks.
func (m moment) reached(until moment) bool {
	return m.monotonic >= until.monotonic && m.wall >= until.wall
}

// Skew returns how far this machine's clock was ahead of the database's at the last good poll; it is negative if it
// was behind. The time that the question took is given the benefit of the doubt.
func (v *View) Skew() time.Duration { return time.Duration(v.skew.Load()) }

// CheckClock returns UNAVAILABLE with CLOCK_SKEW while this machine's clock and the database's are too far apart.
// Tokens and revocations are judged by one each: a token issued or accepted by a clock that is wrong could outlive
// its revocation.
func (v *View) CheckClock() error {
	if v.Skew().Abs() > v.options.MaxSkew {
		return fault.Busy(fault.ClockSkew, "the clocks of this server and its database disagree", 2*time.Second)
	}
	return nil
}

// logSkew warns once when the clocks are apart, and says when they agree again. It returns whether they are apart.
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
