package redis

import (
	"math"
	"time"

	"congdanso/bot/delivery"
)

// The limit is a bucket of capacity B = max(1, R/100), refilled so that over any
// sliding 60 seconds no more than R slots are used. Nobody knows where Zalo's
// minute begins. A slot may be half a second old when its call begins (see
// delivery.Limiter), so the R - B that the refill may give are spread over 60.5
// seconds. A bucket nobody knows anything of is empty, never full. It may hold half a
// slot beyond B, so that who asks a moment late has lost nothing: slots are whole, and
// half of one gives no sixty seconds another.
//
// Within the bucket replies come first. Each other priority earns credit at a
// twentieth of the rate: credit is the right to a slot although somebody more
// important waits, and it makes the more important leave that slot. Upkeep has a
// bucket of its own beneath, of a fifth of the rate.
//
// The same arithmetic stands in script.lua, for the bucket that all instances
// share. There, where the burst is large, half of it is set aside for the slots
// that instances fetch in batches and may keep for a moment.
const (
	minute      = 60.0
	slotLife    = 0.5  // seconds
	creditShare = 0.05 // of the rate, for each priority but replies
	upkeepShare = 0.20 // of the rate, at most
	// slack is how much longer than its next question somebody counts as waiting.
	slack = 250 * time.Millisecond
)

// rate is a limit of r requests a minute, taken apart.
type rate struct {
	burst   float64 // capacity of the bucket
	carry   float64 // of a slot, beyond the capacity
	refill  float64 // slots a second
	credit  float64 // credit a second for each priority but replies
	credit1 float64 // most credit
	upkeep  float64 // slots a second for upkeep
	upkeep1 float64 // most slots for upkeep at once
}

// rateOf takes r apart.
func rateOf(r float64) rate {
	if r < 1 {
		return rate{}
	}
	burst := math.Max(1, math.Floor(r/100))
	out := rate{
		burst:   burst,
		refill:  math.Max(r-burst, 0.98) / (minute + slotLife), // a whole number is never reached too early
		credit:  creditShare * r / minute,
		credit1: math.Max(1, creditShare*burst),
		upkeep1: math.Max(1, upkeepShare*burst),
	}
	if r >= 2 { // below, the refill gives a little more than the rest of the rate
		out.carry = 0.5
	}
	out.upkeep = math.Max(upkeepShare*r-out.upkeep1, 0.04*r) / (minute + slotLife)
	return out
}

// bucket is the state of the limit in the process. Its zero value is empty.
type bucket struct {
	at      time.Time
	level   float64
	credit  [delivery.Priorities]float64
	upkeep  float64
	waiting [delivery.Priorities]time.Time // somebody waits, until then
}

// flow lets the bucket fill until now.
func (b *bucket) flow(r rate, now time.Time) {
	if b.at.IsZero() {
		b.at = now
	}
	passed := now.Sub(b.at).Seconds()
	if passed < 0 {
		return // the clock went back
	}
	b.at = now
	b.level = math.Min(r.burst+r.carry, b.level+passed*r.refill)
	b.upkeep = math.Min(r.upkeep1, b.upkeep+passed*r.upkeep)
	for p := range b.credit {
		b.credit[p] = math.Min(r.credit1, b.credit[p]+passed*r.credit)
	}
}

// take gives up to n slots. Fewer than n means: ask again after wait.
func (b *bucket) take(r rate, p delivery.Priority, n int, now time.Time) (got int, wait time.Duration) {
	if r.refill <= 0 {
		return 0, time.Second
	}
	b.flow(r, now)
	free, mine := math.Floor(b.level), math.Inf(1)
	for q := range b.waiting {
		other := delivery.Priority(q)
		if other == p || !b.waiting[q].After(now) {
			continue
		}
		if other < p { // somebody more important waits: only what is earned
			mine = math.Floor(b.credit[p])
		}
		if other != delivery.Reply {
			theirs := math.Floor(b.credit[q])
			if other == delivery.Upkeep {
				theirs = math.Min(theirs, math.Floor(b.upkeep))
			}
			free -= math.Min(math.Floor(b.level), theirs) // as soon as they ask
		}
	}
	if !math.IsInf(mine, 1) {
		free = math.Floor(b.level) // credit stands beside the credit of others
	}
	if p == delivery.Upkeep {
		mine = math.Min(mine, math.Floor(b.upkeep))
	}
	give := math.Max(0, math.Min(float64(n), math.Min(free, mine)))
	b.level -= give
	if p != delivery.Reply {
		b.credit[p] = math.Max(0, b.credit[p]-give)
	}
	if p == delivery.Upkeep {
		b.upkeep -= give
	}
	if got = int(give); got == n {
		return got, 0
	}
	seconds := (1 - (b.level - math.Floor(b.level))) / r.refill
	if b.level >= 1 { // held back by rights, not by the level
		seconds = math.Max(1/r.refill, 0.001)
	}
	if p == delivery.Upkeep && b.upkeep < 1 {
		seconds = math.Max(seconds, (1-b.upkeep)/r.upkeep)
	}
	wait = min(max(time.Duration(seconds*float64(time.Second)), time.Millisecond), time.Second)
	b.waiting[p] = now.Add(wait + slack)
	return got, wait
}

// drain empties the bucket: what it gave before is not known.
func (b *bucket) drain(now time.Time) {
	b.level, b.upkeep, b.at = 0, 0, now
}
