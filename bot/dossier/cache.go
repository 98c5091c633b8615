package dossier

import (
	"container/list"
	"context"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// Cache is what instances may share (Redis). It may forget anything at any time
// and never fails: what it does not have is asked again. Only public parts are
// handed to it.
type Cache interface {
	Get(ctx context.Context, key string) (value []byte, ok bool)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration)
}

// answer is what the procedure system said about a code, and when.
type answer struct {
	Records []Record
	SeenAt  time.Time
	// PublicOnly: it came from the shared cache, so names and factors are missing.
	PublicOnly bool
}

// newest returns the record shown for the code: the one the citizen's proof is
// bound to, else the newest.
func (a answer) pick(proven func(id string) bool) (Record, bool) {
	for _, r := range a.Records {
		if proven(r.ID) {
			return r, true
		}
	}
	return a.Records[0], false
}

// sharedRecord is the part of a Record that may leave the process.
type sharedRecord struct {
	ID     string `json:"id"`
	Public Public `json:"public"`
}

type sharedAnswer struct {
	SeenAt  time.Time      `json:"seen_at"`
	Records []sharedRecord `json:"records"`
}

// answers remembers answers for a while: in the process with everything, in the
// shared cache with the public parts.
type answers struct {
	local  *lru
	shared Cache // nil: none
	ttl    time.Duration
	key    func(Code) []byte
}

// get returns an answer no older than the cache's time; whole asks for one with
// names and factors.
func (c *answers) get(ctx context.Context, code Code, whole bool, now time.Time) (answer, bool) {
	fresh := func(a answer) bool { return now.Sub(a.SeenAt) < c.ttl && len(a.Records) > 0 }
	if a, ok := c.local.get(code); ok && fresh(a) && !(whole && a.PublicOnly) {
		return a, true
	}
	if whole || c.shared == nil {
		return answer{}, false
	}
	raw, ok := c.shared.Get(ctx, c.sharedKey(code))
	if !ok {
		return answer{}, false
	}
	var sa sharedAnswer
	if err := json.Unmarshal(raw, &sa); err != nil {
		return answer{}, false // written by another release: as good as forgotten
	}
	a := answer{SeenAt: sa.SeenAt, PublicOnly: true}
	for _, r := range sa.Records {
		a.Records = append(a.Records, Record{ID: r.ID, Public: r.Public})
	}
	if !fresh(a) {
		return answer{}, false
	}
	c.local.put(code, a)
	return a, true
}

func (c *answers) put(ctx context.Context, code Code, a answer) {
	c.local.put(code, a)
	if c.shared == nil {
		return
	}
	sa := sharedAnswer{SeenAt: a.SeenAt}
	for _, r := range a.Records {
		sa.Records = append(sa.Records, sharedRecord{ID: r.ID, Public: r.Public})
	}
	if raw, err := json.Marshal(sa); err == nil {
		c.shared.Set(ctx, c.sharedKey(code), raw, c.ttl)
	}
}

func (c *answers) sharedKey(code Code) string { return "dossier:" + hex.EncodeToString(c.key(code)) }

// lru is a map that forgets what was used least recently.
type lru struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *lruEntry, most recently used first
	items map[Code]*list.Element
}

type lruEntry struct {
	code   Code
	answer answer
}

func newLRU(max int) *lru {
	return &lru{max: max, order: list.New(), items: map[Code]*list.Element{}}
}

func (l *lru) get(code Code) (answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.items[code]
	if !ok {
		return answer{}, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruEntry).answer, true
}

func (l *lru) put(code Code, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.items[code]; ok {
		e.Value.(*lruEntry).answer = a
		l.order.MoveToFront(e)
		return
	}
	l.items[code] = l.order.PushFront(&lruEntry{code, a})
	if l.order.Len() > l.max {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.items, oldest.Value.(*lruEntry).code)
	}
}
