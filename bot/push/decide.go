package push

import (
	"time"

	"congdanso/bot"
)

// candidate is a pending push that is due, with what is known of the person.
type candidate struct {
	who     bot.CitizenID
	source  int64
	kind    string
	class   Class
	tried   int16
	digest  bool
	expires time.Time
	content *Content // nil: a copy, not rendered yet

	known      bool // there is a profile
	language   string
	name       string
	phone      string // stated
	proven     bool   // …and stands on a dossier they opened
	interacted time.Time

	pushes, urgent int // of today
	stopped        bool
	pausedUntil    time.Time
	quietFrom      int
	quietTo        int
	digestAt       int // -1: at once
	dailyMost      int // 0: no number of their own
}

// Ways a decision can go.
type way int

const (
	send   way = iota
	later      // due is when
	hold       // until the person writes
	skip       // for good
	cannot     // its run cannot go on: a budget or a quota is used up
)

// decision is what is done with a candidate now.
type decision struct {
	way    way
	rung   Rung
	reason string
	due    time.Time
	digest bool // it goes with others of its hour
}

// morning is when what has to wait for another day is due, minute of the local day.
const morning = 6 * 60

// env is what decides besides the candidate itself.
type env struct {
	now      time.Time
	settings Settings
	// closed says why a rung is closed for everybody, or for a template; empty: open.
	closed func(r Rung, template string) string
	// fits says whether a template can say this content by user id or phone.
	fits func(c *Content, r Rung) bool
	// anyHour lets it go at night.
	anyHour bool
}

// decide says what happens to a candidate now. The order is the rule: what ends it
// for good, what makes it wait, the ceilings below everything, the ladder.
func (e env) decide(c *candidate) decision {
	urgent := c.class == Urgent
	wait := func(until time.Time) decision {
		if !until.Before(c.expires) {
			return decision{way: hold, reason: ReasonNoWay} // it would come too late: if they write before, it is told
		}
		return decision{way: later, due: until}
	}
	switch {
	case !c.known:
		return decision{way: skip, reason: ReasonErased}
	case !e.now.Before(c.expires):
		return decision{way: skip, reason: ReasonExpired}
	case c.stopped:
		return decision{way: skip, reason: ReasonStopped}
	}
	minute := minuteOf(e.now)
	if !urgent {
		if c.pausedUntil.After(e.now) {
			return wait(c.pausedUntil)
		}
		if from, to := e.settings.Night(); !e.anyHour && between(minute, from, to) {
			return wait(next(e.now, to))
		}
		if between(minute, c.quietFrom, c.quietTo) {
			return wait(next(e.now, c.quietTo))
		}
		if c.digestAt >= 0 && !c.digest {
			d := wait(next(e.now, c.digestAt))
			d.digest = true
			return d
		}
	}
	all, most := e.settings.Ceilings()
	switch {
	case urgent && c.urgent >= most:
		return wait(next(e.now, morning))
	case !urgent && (c.pushes-c.urgent >= all || c.dailyMost > 0 && c.pushes-c.urgent >= c.dailyMost):
		return wait(next(next(e.now, 0), morning))
	}
	rung, why := situation{
		now: e.now, interacted: c.interacted, proven: c.proven && c.phone != "", tried: c.tried,
		template: func(r Rung) bool { return e.fits(c.content, r) },
		open: func(r Rung) string {
			if !e.settings.On(r) {
				return ReasonOff
			}
			template := ""
			if r == RungTemplate || r == RungPhone {
				template = c.content.Template
			}
			return e.closed(r, template)
		},
	}.climb()
	switch {
	case rung != "":
		return decision{way: send, rung: rung}
	case (why == ReasonBudget || why == ReasonQuota) && c.kind == KindBroadcast:
		return decision{way: cannot, reason: why}
	case why == ReasonBudget || why == ReasonQuota:
		d := wait(next(next(e.now, 0), morning)) // a new day, a new budget
		d.reason = why
		return d
	}
	return decision{way: hold, reason: why}
}
