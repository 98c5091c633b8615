package delivery

import (
	"errors"
	"math/rand/v2"
	"time"
)

// States of a row; see the package comment.
const (
	statePending = "pending"
	stateClaimed = "claimed"
	stateSending = "sending"
	stateUnknown = "unknown"
	stateHeld    = "held"
)

// Outcomes in history, and in the metric of deliveries.
const (
	outcomeSent    = "sent"
	outcomeFailed  = "failed"  // Zalo will not take it
	outcomeDropped = "dropped" // given up by us
	outcomeUnknown = "unknown" // nobody can know whether it arrived
)

// Causes we give ourselves.
const (
	causeExpired  = "expired"
	causeWindow   = "window"
	causeCrowded  = "crowded"
	causeBody     = "body does not open"
	causeSetAside = "set aside"
	causeReported = "reported" // of an unknown one: somebody was told
	causeResting  = "resting"  // templates are refused for everybody
)

const (
	// mostWaits is how often a call may be answered "wait" before it is given up.
	mostWaits = 6
	// mostBackoff bounds the pause between two tries.
	mostBackoff = 5 * time.Minute
	// throttledCode is Zalo's answer to a call beyond the rate (Zalo: error table).
	throttledCode = -32
)

// zaloZone is the zone of Zalo's nights and days (Zalo: error -234, quotas).
var zaloZone = time.FixedZone("GMT+7", 7*60*60)

// verdict is what becomes of a row after a call, or without one.
type verdict struct {
	state   string // where the row goes; empty: it leaves the outbox
	outcome string // when it leaves
	metric  string // what is counted, when not the outcome
	cause   string
	class   Class // of a push that was refused
	code    int
	msgID   string
	at      time.Time     // when Zalo took it
	after   time.Duration // due again after this long by Postgres's clock
	due     time.Time     // or at this time
	block   bool          // refused: later ones of the citizen wait, for a while
	unsure  bool          // one more call whose fate nobody knows
	throttl bool          // tell the limiter
	person  bool          // only a person can set it right
	broken  bool          // it did not get through to Zalo
}

// judge decides what becomes of j after its call ended with err.
func (o *Outbox) judge(j *job, r Receipt, err error) verdict {
	if err == nil {
		return verdict{outcome: outcomeSent, msgID: r.MsgID, at: r.At}
	}
	var ref *Refusal
	if !errors.As(err, &ref) {
		ref = &Refusal{Class: ClassAmbiguous, Err: err}
	}
	cause := clean(ref.Message)
	if ref.Err != nil {
		cause = string(ref.Class)
	}
	v := verdict{cause: cause, code: ref.Code, class: ref.Class}
	again := func(after time.Duration) verdict {
		v.state, v.metric, v.block = statePending, "retried", true
		v.after = max(after, ref.RetryAfter)
		return v
	}
	switch ref.Class {
	case ClassAmbiguous:
		v.broken = true
		if j.kind != kindMessage && j.kind != kindTemplate {
			return again(o.backoff(j.tries)) // a tag set twice is set
		}
		v.state, v.metric, v.unsure, v.block = stateUnknown, "ambiguous", true, true
		return v
	case ClassNotSent:
		v.throttl = ref.Code == throttledCode
		v.broken = !v.throttl
		return again(o.backoff(j.tries))
	case ClassWait:
		v.throttl = ref.Code == throttledCode
		if j.tries >= mostWaits && !v.throttl {
			v.outcome = outcomeFailed
			return v
		}
		return again(o.backoff(j.tries + 2))
	}
	v.person = ref.Class == ClassHuman
	if j.push() && !(v.person && j.kind == kindMessage) {
		// This way is closed to it: it is its ledger's again, which knows others. Only
		// where nothing can be sent to anybody does it wait here.
		v.outcome = outcomeFailed
		return v
	}
	switch ref.Class {
	case ClassQuota:
		return again(untilClock(o.opt.Now(), 0, 10*time.Minute))
	case ClassNight:
		return again(untilClock(o.opt.Now(), 6, 5*time.Minute))
	case ClassHuman:
		return again(o.opt.HumanPause)
	case ClassWindow:
		return tooLate(v)
	}
	v.outcome = outcomeFailed
	return v
}

// tooLate is what becomes of a message past its window, or its hour: a reply has
// failed, and a push is its ledger's again.
func tooLate(v verdict) verdict {
	v.outcome, v.class, v.cause = outcomeFailed, ClassWindow, causeWindow
	return v
}

// backoff is the pause after so many tries: doubling, with a jitter of half.
func (o *Outbox) backoff(tries int16) time.Duration {
	d := min(o.opt.Backoff<<min(max(tries, 1)-1, 12), mostBackoff)
	return d/2 + rand.N(d/2+1)
}

// untilClock is the time until the next full hour given, by Zalo's clock, and a
// little more so that not everything starts in the same second.
func untilClock(now time.Time, hour int, spread time.Duration) time.Duration {
	local := now.In(zaloZone)
	next := time.Date(local.Year(), local.Month(), local.Day(), hour, 0, 0, 0, zaloZone)
	if !next.After(local) {
		next = next.AddDate(0, 0, 1)
	}
	return next.Sub(local) + rand.N(spread)
}
