package session

import (
	"log/slog"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// warnSkew is half of the skew from which other replicas refuse the tokens of one that is ahead.
	warnSkew = token.Leeway / 2
	// calmSkew ends the warning; the gap keeps clocks at the edge from filling the log.
	calmSkew = warnSkew / 2
)

// moment is an instant by both clocks of this machine: the monotonic one, which cannot be set and may stop while the
// machine sleeps, and the wall clock, by which tokens live.
type moment struct {
	monotonic time.Duration // since View.base
	wall      store.Time
}

func (v *View) moment(now time.Time) moment { return moment{now.Sub(v.base), store.TimeOf(now)} }

// untilFrom returns when an entry made now may be dropped: one life later by both clocks. The wall clock counts from
// the latest time that it has shown, because a token issued then outlives a clock that is set back.
func (v *View) untilFrom(now moment) moment {
	return moment{now.monotonic + v.life, max(now.wall, v.latest).Add(v.life)}
}

// reached reports whether until has passed by both clocks.
func (m moment) reached(until moment) bool {
	return m.monotonic >= until.monotonic && m.wall >= until.wall
}

// Skew returns how far this machine's clock was ahead of the database's at the last good poll, negative if it was
// behind. The time that the query took does not count as skew.
func (v *View) Skew() time.Duration { return time.Duration(v.skew.Load()) }

// CheckClock returns UNAVAILABLE with CLOCK_SKEW while this machine's clock and the database's are too far apart.
// One judges tokens, the other revocations: a token issued or accepted by a wrong clock could outlive its revocation.
func (v *View) CheckClock() error {
	if v.Skew().Abs() > v.options.MaxSkew {
		return fault.Busy(fault.ClockSkew, "the clocks of this server and its database disagree", 2*time.Second)
	}
	return nil
}

// logSkew logs once when the clocks diverge, and once when they agree again. It returns whether they diverge.
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
