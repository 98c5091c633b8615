package push

import (
	"time"
)

// Rung is a way a push can go, by rising cost.
type Rung string

// The ladder. A held push waits for the person's next word and is then read to them.
const (
	RungFree     Rung = "free"     // a consultation message within 48 hours of an interaction
	RungPackage  Rung = "package"  // one within seven days, from the account's package
	RungTemplate Rung = "template" // an approved template, by user id
	RungPhone    Rung = "phone"    // the same, by a phone number that is proven
	RungRead     Rung = "read"     // read out to the person who asked what waits
)

// ladder is the order in which rungs are tried.
var ladder = []Rung{RungFree, RungPackage, RungTemplate, RungPhone}

// bit of a rung in the column tried.
func (r Rung) bit() int16 {
	for i, rung := range ladder {
		if rung == r {
			return 1 << i
		}
	}
	return 0
}

// Zalo's windows (rules of sending), a little short, so that no call arrives too late.
const (
	FreeWindow = 48*time.Hour - margin
	OpenWindow = 7*24*time.Hour - margin
	margin     = 2 * time.Minute
)

// Reasons why a push is held, skipped or failed, or waits.
const (
	ReasonNoWay     = "no_way"     // no rung reaches this person now
	ReasonOff       = "off"        // the rungs that would are switched off
	ReasonBudget    = "budget"     // …or have used up their budget
	ReasonQuota     = "quota"      // …or their quota at Zalo
	ReasonStopped   = "stopped"    // the person stopped everything
	ReasonExpired   = "expired"    // its time was over
	ReasonErased    = "erased"     // the person was erased
	ReasonCancelled = "cancelled"  // staff cancelled the broadcast
	ReasonNewer     = "superseded" // a newer notice about the same thing took its place
	ReasonRestored  = "restored"   // the database was restored meanwhile
	ReasonWithdrawn = "withdrawn"  // the person does not want to hear of it any more
	ReasonRefused   = "refused"    // Zalo will not take it for this person
)

// Reasons are all of them: whoever shows books has words for each.
var Reasons = []string{ReasonNoWay, ReasonOff, ReasonBudget, ReasonQuota, ReasonStopped, ReasonExpired, ReasonErased,
	ReasonCancelled, ReasonNewer, ReasonRestored, ReasonWithdrawn, ReasonRefused}

// situation is what the ladder is climbed with.
type situation struct {
	now        time.Time
	interacted time.Time         // last interaction; zero: none known
	proven     bool              // a phone number that may be written to
	template   func(Rung) bool   // a template that fits goes by this rung
	tried      int16             // rungs that are closed for this push
	open       func(Rung) string // why a rung is closed for everybody; empty: open
}

// climb returns the first rung that reaches the person; where there is none, why.
// A rung that is closed for everybody is told before "no way": then it is not the
// person whom nothing reaches.
func (s situation) climb() (Rung, string) {
	why := ReasonNoWay
	for _, r := range ladder {
		if s.tried&r.bit() != 0 || !s.reaches(r) {
			continue
		}
		closed := s.open(r)
		if closed == "" {
			return r, ""
		}
		if why == ReasonNoWay || closed != ReasonOff {
			why = closed
		}
	}
	return "", why
}

func (s situation) reaches(r Rung) bool {
	since := s.now.Sub(s.interacted)
	known := !s.interacted.IsZero()
	switch r {
	case RungFree:
		return known && since < FreeWindow
	case RungPackage:
		return known && since >= FreeWindow && since < OpenWindow
	case RungTemplate:
		return s.template(r)
	case RungPhone:
		return s.proven && s.template(r)
	}
	return false
}

// Local is the zone of people's nights and days, and of Zalo's.
var Local = time.FixedZone("Asia/Ho_Chi_Minh", 7*60*60)

// minuteOf is the minute of the local day.
func minuteOf(t time.Time) int {
	l := t.In(Local)
	return l.Hour()*60 + l.Minute()
}

// between reports whether minute lies in the hours from…to, which may span midnight.
func between(minute, from, to int) bool {
	switch {
	case from == to:
		return false
	case from < to:
		return minute >= from && minute < to
	}
	return minute >= from || minute < to
}

// next is the next moment after t at which the local day has the given minute.
func next(t time.Time, minute int) time.Time {
	l := t.In(Local)
	at := time.Date(l.Year(), l.Month(), l.Day(), minute/60, minute%60, 0, 0, Local)
	if !at.After(t) {
		at = at.AddDate(0, 0, 1)
	}
	return at.UTC()
}

// dayOf is the local date, as the tables of a day have it.
func dayOf(t time.Time) time.Time {
	l := t.In(Local)
	return time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, time.UTC)
}
