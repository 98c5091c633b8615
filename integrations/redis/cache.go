package redis

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// cacheEntries bounds the cache in the process.
	cacheEntries = 10_000
	cachePrefix  = "congdanso:cache:"
)

// Get returns what Set kept under key, while it is fresh. Only public parts may
// be kept: no name, no number, no text of anybody's.
func (r *Redis) Get(ctx context.Context, key string) (value []byte, ok bool) {
	if r.Up() {
		value, err := r.client.Get(ctx, cachePrefix+key).Bytes()
		if r.note(ctx, err) {
			return value, err == nil
		}
	}
	return r.cache.get(key, time.Now())
}

// Set keeps value under key for ttl at most.
func (r *Redis) Set(ctx context.Context, key string, value []byte, ttl time.Duration) {
	if r.Up() && r.note(ctx, r.client.Set(ctx, cachePrefix+key, value, ttl).Err()) {
		return
	}
	r.cache.set(key, value, ttl, time.Now())
}

// lru is a bounded cache in the process: the entry used longest ago goes first.
type lru struct {
	mu      sync.Mutex
	most    int
	entries map[string]*list.Element
	order   *list.List // of *entry, the one used last in front
}

type entry struct {
	key   string
	value []byte
	until time.Time
}

func newLRU(most int) *lru {
	return &lru{most: most, entries: map[string]*list.Element{}, order: list.New()}
}

func (c *lru) get(key string, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return nil, false
	}
	if !now.Before(e.Value.(*entry).until) {
		c.order.Remove(e)
		delete(c.entries, key)
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry).value, true
}

func (c *lru) set(key string, value []byte, ttl time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		c.order.Remove(e)
	}
	c.entries[key] = c.order.PushFront(&entry{key, value, now.Add(ttl)})
	if c.order.Len() > c.most {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.entries, last.Value.(*entry).key)
	}
}
