package zalosim

import (
	"sync"
	"sync/atomic"
)

// UpdateKind says what changed.
type UpdateKind string

// The kinds of updates.
const (
	UpdateChat    UpdateKind = "chat"    // a person's chat, or the person
	UpdateCall    UpdateKind = "call"    // a call of the API was answered
	UpdateWebhook UpdateKind = "webhook" // a webhook was tried, or the subscription changed
)

// Update tells that something changed.
type Update struct {
	Kind UpdateKind
	User string // whom it concerns, when known
}

// watchers hands updates to subscribers and never waits for them.
type watchers struct {
	any  atomic.Bool // whether anybody listens, read without the lock
	mu   sync.Mutex
	subs map[chan Update]bool
}

// Subscribe returns updates until cancel is called, which closes the channel. A
// subscriber that does not keep up misses some; the stand-in never waits.
func (s *Sim) Subscribe() (updates <-chan Update, cancel func()) {
	w := &s.watch
	ch := make(chan Update, 256)
	w.mu.Lock()
	if w.subs == nil {
		w.subs = map[chan Update]bool{}
	}
	w.subs[ch] = true
	w.any.Store(true)
	w.mu.Unlock()
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.subs[ch] {
			delete(w.subs, ch)
			close(ch)
			w.any.Store(len(w.subs) > 0)
		}
	}
}

func (w *watchers) tell(kind UpdateKind, user string) {
	if !w.any.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.subs {
		select {
		case ch <- Update{Kind: kind, User: user}:
		default:
		}
	}
}

// ring keeps the newest n values.
type ring[T any] struct {
	mu   sync.Mutex
	n    int
	next int
	all  []T
}

func (r *ring[T]) add(v T) {
	if r.n <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < r.n {
		r.all = append(r.all, v)
		return
	}
	r.all[r.next] = v
	r.next = (r.next + 1) % r.n
}

// list returns what is kept, oldest first.
func (r *ring[T]) list() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]T, 0, len(r.all))
	out = append(out, r.all[r.next:]...)
	return append(out, r.all[:r.next]...)
}
