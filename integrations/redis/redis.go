// Package redis is what this project asks of a Redis (or Valkey) server: the
// account's rate limit shared by all instances, a cache of public parts, and
// wake-ups between instances.
//
// Nothing that may not be lost is kept there. All of it works without a server
// (an empty URL), and goes on when the server is emptied, stopped or away: the
// limit falls to this instance's share (see Limiter), the cache to one in the
// process, and wake-ups to polling. One warning is logged when the server goes
// away, and one line when it is back.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// A server that does not answer within these is away: what is asked of it has
	// a local answer.
	dialTimeout = 500 * time.Millisecond
	callTimeout = 250 * time.Millisecond
	// beatEvery is how often the server is asked whether it is there.
	beatEvery = time.Second
)

// Redis is the connection, or the lack of one.
type Redis struct {
	client *goredis.Client // nil without a URL
	up     atomic.Bool
	cache  *lru

	run      atomic.Pointer[string] // the server's run id
	restarts atomic.Int64           // how often another server stood at the address

	mu        sync.Mutex
	limiters  []*Limiter
	listeners []listener
}

// quiet drops what the client library would print by itself for every connection
// that cannot be made: note says once that the server is away.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { goredis.SetLogger(quiet{}) }

// Open returns a connection to url (redis://, rediss:// or unix://), or none when
// url is empty. It does not connect; the only error is a malformed url.
func Open(url string) (*Redis, error) {
	r := &Redis{cache: newLRU(cacheEntries)}
	if url == "" {
		return r, nil
	}
	opt, err := goredis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read redis URL: %w", hideURL(err))
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = dialTimeout, callTimeout, callTimeout
	opt.PoolTimeout = callTimeout
	opt.MaxRetries = -1 // every caller has a local answer
	opt.DialerRetries = 1
	opt.ContextTimeoutEnabled = true
	opt.OnConnect = r.recognise
	r.client = goredis.NewClient(opt)
	r.up.Store(true) // until a call says otherwise
	return r, nil
}

// recognise notices, with each new connection, that the server was started again
// or is another one: what it holds of the rate limit may then be older than what
// we were given.
func (r *Redis) recognise(ctx context.Context, conn *goredis.Conn) error {
	info, err := conn.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(info, "run_id:")
	id, _, _ = strings.Cut(id, "\r")
	if known := r.run.Swap(&id); known != nil && *known != id {
		r.restarts.Add(1)
	}
	return nil
}

// hideURL keeps a password in a malformed URL out of logs.
func hideURL(err error) error {
	var known interface{ Unwrap() error }
	if errors.As(err, &known) && known.Unwrap() != nil {
		return known.Unwrap()
	}
	return err
}

// Up reports whether the server answered lately.
func (r *Redis) Up() bool { return r.client != nil && r.up.Load() }

// Run keeps watch over the server and serves the listeners until ctx ends.
func (r *Redis) Run(ctx context.Context) error {
	if r.client == nil {
		<-ctx.Done()
		return nil
	}
	var listening sync.WaitGroup
	listening.Go(func() { r.listen(ctx) })
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		r.note(ctx, r.beat(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
			listening.Wait()
			return nil
		}
	}
}

// beat asks whether the server is there, and says there that we are.
func (r *Redis) beat(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return err
	}
	r.mu.Lock()
	limiters := r.limiters
	r.mu.Unlock()
	for _, l := range limiters {
		if err := l.beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// note remembers how a call ended, and reports whether the server is there.
func (r *Redis) note(ctx context.Context, err error) bool {
	switch {
	case err == nil || errors.Is(err, goredis.Nil):
		if r.up.CompareAndSwap(false, true) {
			slog.Info("redis is back")
		}
		return true
	case ctx.Err() != nil:
		return r.up.Load() // the caller gave up, not the server
	}
	if r.up.CompareAndSwap(true, false) {
		slog.Warn("redis is away: rate limit, cache and wake-ups fall back to this process", "error", err)
	}
	return false
}

// Close closes the connection.
func (r *Redis) Close() error {
	if r.client == nil {
		return nil
	}
	return r.client.Close()
}
