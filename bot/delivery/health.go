package delivery

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// sick is how many calls in a row must fail for a reason of the way to Zalo
	// before all others wait.
	sick = 8
	// restFirst and restMost bound the rest between two trial calls.
	restFirst = 500 * time.Millisecond
	restMost  = 15 * time.Second
)

// health stops the calls while the way to Zalo is broken, so that not everybody's
// message is tried and refused in turn, and rests kinds of calls that only a
// person can set right. After a rest one call tries whether all is well again.
type health struct {
	now   func() time.Time
	pause time.Duration // rest after a refusal that needs a person

	mu       sync.Mutex
	failures int
	rest     time.Duration
	since    time.Time // when the rest began
	until    time.Time
	trial    bool                 // the one trial call is under way
	kinds    map[string]time.Time // kinds of calls at rest
}

// well reports whether calls may go without restriction.
func (h *health) well() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until.IsZero() && len(h.kinds) == 0
}

// allow says how many of n calls may go now; when none may, wait says for how
// long. A trial call that is allowed and then not made must be given back with
// untried.
func (h *health) allow(n int) (allowed int, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		return n, 0
	}
	if wait = h.until.Sub(h.now()); wait > 0 {
		return 0, wait
	}
	if h.trial {
		return 0, restFirst
	}
	h.trial = true
	return min(n, 1), 0
}

func (h *health) untried() {
	h.mu.Lock()
	h.trial = false
	h.mu.Unlock()
}

// answered notes that Zalo answered a call, whatever it said. One that was in the air
// when the rest began tells nothing of now.
func (h *health) answered(kind string, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if began.Before(h.since) {
		return
	}
	h.failures, h.rest, h.until, h.trial = 0, 0, time.Time{}, false
	delete(h.kinds, kind)
}

// failed notes a call that did not get through. It reports whether calls rest
// from now on.
func (h *health) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	began := h.until.IsZero()
	h.failures++
	h.trial = false
	if h.failures < sick {
		return false
	}
	if began {
		h.since = h.now()
	}
	h.rest = min(max(restFirst, 2*h.rest), restMost)
	h.until = h.now().Add(h.rest/2 + rand.N(h.rest/2+1))
	return began
}

// person notes that a kind of call was refused for a reason that a person has to
// remove. It reports whether that is news.
func (h *health) person(kind string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trial = false
	if kind == kindMessage {
		news := h.failures < sick
		h.failures = sick
		if h.until.IsZero() {
			h.since = h.now()
		}
		h.until = h.now().Add(h.pause)
		return news
	}
	if h.kinds == nil {
		h.kinds = map[string]time.Time{}
	}
	_, known := h.kinds[kind]
	h.kinds[kind] = h.now().Add(h.pause)
	return !known
}

// resting is until when a kind of call rests, zero when it does not. After a rest
// that is zero for one call alone, which tries; the others rest on, until it is
// answered or must have been lost on its way.
func (h *health) resting(kind string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, rests := h.kinds[kind]
	if now := h.now(); rests && !until.After(now) {
		h.kinds[kind] = now.Add(min(h.pause, restMost))
		return time.Time{}
	}
	return until
}
