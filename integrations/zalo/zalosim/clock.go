package zalosim

import (
	"sync"
	"time"
)

// Clock is the stand-in's time. It runs with the wall clock or stands still,
// and can be moved forward; waiting deliveries that become due leave at once.
type Clock struct {
	mu     sync.Mutex
	frozen bool
	at     time.Time     // frozen: the time
	offset time.Duration // running: ahead of the wall clock by this much
	moved  chan struct{} // closed and replaced at each move
}

// NewClock returns a clock that runs with the wall clock.
func NewClock() *Clock { return &Clock{moved: make(chan struct{})} }

// NewFrozenClock returns a clock that stands at a time until it is moved.
func NewFrozenClock(at time.Time) *Clock {
	return &Clock{frozen: true, at: at, moved: make(chan struct{})}
}

// Now is the stand-in's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if c.frozen {
		return c.at
	}
	return time.Now().Add(c.offset)
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.offset += d
	close(c.moved)
	c.moved = make(chan struct{})
}

// until returns the real time to wait until at; runs is false when only a move
// can bring it.
func (c *Clock) until(at time.Time) (wait time.Duration, runs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait = at.Sub(c.now())
	return wait, wait <= 0 || !c.frozen
}

// nextMove is closed at the next move.
func (c *Clock) nextMove() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}
