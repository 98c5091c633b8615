package inbox

import (
	"sync"

	"congdanso/bot"
)

// mostRecent bounds how many decoded events are remembered.
const mostRecent = 4096

// recent remembers the events this process has just accepted, decoded as the
// door had them: nearly all of them are claimed here a moment later. What is not
// here any more is decoded from its stored body.
type recent struct {
	mu     sync.Mutex
	events map[[16]byte]bot.Event
}

func (r *recent) put(key []byte, ev bot.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.events == nil || len(r.events) >= mostRecent {
		r.events = make(map[[16]byte]bot.Event, 256) // a backlog: better to decode than to hold it in memory
	}
	r.events[[16]byte(key)] = ev
}

// take gives an event out, once.
func (r *recent) take(key []byte) (bot.Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ev, ok := r.events[[16]byte(key)]
	delete(r.events, [16]byte(key))
	return ev, ok
}
