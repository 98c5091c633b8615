package redis

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"congdanso/bot/delivery"
)

//go:embed script.lua
var scriptText string

var script = goredis.NewScript(scriptText)

const (
	// present is how long an instance counts as using the shared bucket after it
	// last said so.
	present = 5 * time.Second
	// settle is how long an instance that has lost the server waits before it uses
	// its own share, where there are others: until the shared bucket has stopped
	// counting it in, and until others have noticed a new instance.
	settle = 6 * time.Second
	// young is how long an instance has to notice the others.
	young = 15 * time.Second
	// holdFor is how long slots fetched in a batch are kept at most.
	holdFor = 500 * time.Millisecond
	// lessonApart is how far apart two refusals must be to count as two.
	lessonApart = 5 * time.Second
)

// Limiter is the account's rate limit. With a server it is one bucket for all
// instances; without, each instance has its share. It implements
// delivery.Limiter.
//
// Changing between the two never exceeds the limit: whichever bucket is taken up
// starts empty; the shared one gives only the share of the instances that use
// it; and an instance starts using its own share when it no longer counts there.
type Limiter struct {
	redis   *Redis
	keys    []string
	id      string
	setting int
	alive   func() int
	ceiling atomic.Int64 // what Zalo's header says; zero: nothing yet
	hold    atomic.Int64 // how many slots may be fetched ahead
	born    time.Time
	now     func() time.Time
	fake    func() string // the server's clock, in tests

	mu       sync.Mutex
	own      bucket
	share    bool      // the own bucket is in use
	from     time.Time // the own bucket may be used from then on
	others   int       // instances alive when last asked
	learned  float64   // requests a minute that -32 taught, zero: nothing
	lesson   time.Time
	restarts int64 // of the server, when the bucket was last drained
	stock    int   // slots fetched ahead, for replies
	stocked  time.Time
}

var _ delivery.Limiter = (*Limiter)(nil)

// Limiter returns the limit of account oa, perMinute requests a minute; alive
// tells how many instances share it.
func (r *Redis) Limiter(oa string, perMinute int, alive func() int) *Limiter {
	id := make([]byte, 8)
	rand.Read(id)
	l := &Limiter{
		redis: r, id: hex.EncodeToString(id), setting: perMinute, alive: alive, born: time.Now(), now: time.Now,
		keys:  []string{"congdanso:rate:{" + oa + "}", "congdanso:rate:{" + oa + "}:present"},
		fake:  func() string { return "" },
		share: r.client == nil, others: 1,
	}
	r.mu.Lock()
	r.limiters = append(r.limiters, l)
	r.mu.Unlock()
	return l
}

// SetCeiling tells what Zalo's X-RateLimit-Limit says: it lowers the setting and
// never raises it.
func (l *Limiter) SetCeiling(perMinute int) {
	if perMinute > 0 {
		l.ceiling.Store(int64(perMinute))
	}
}

// Throttled tells that Zalo refused a call for its rate all the same: the limit
// is lowered by a tenth and comes back slowly, a hundredth of it a minute.
func (l *Limiter) Throttled() {
	now := l.now()
	l.mu.Lock()
	first := now.Sub(l.lesson) > lessonApart
	l.own.drain(now)
	l.stock = 0
	if first {
		l.learned = max(l.limit(now)*0.9, float64(l.setting)/10)
		l.lesson = now
	}
	l.mu.Unlock()
	if !first {
		return
	}
	slog.Warn("zalo refused a call for its rate; sending more slowly", "per_minute", l.PerMinute())
	if l.redis.Up() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		l.ask(ctx, delivery.Reply, 0, 0, false, true)
	}
}

// PerMinute is the limit as this instance knows it, over all instances.
func (l *Limiter) PerMinute() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.limit(l.now()))
}

// limit is the lowest of setting, header, and what -32 taught.
func (l *Limiter) limit(now time.Time) float64 {
	r := l.announced()
	if l.learned > 0 {
		if learned := l.learned + float64(l.setting)/100*now.Sub(l.lesson).Minutes(); learned < r {
			return learned
		}
		l.learned = 0
	}
	return r
}

// announced is the lower of setting and header.
func (l *Limiter) announced() float64 {
	r := l.setting
	if c := int(l.ceiling.Load()); c > 0 {
		r = min(r, c)
	}
	return float64(r)
}

// Try implements delivery.Limiter.
func (l *Limiter) Try(ctx context.Context, p delivery.Priority, n int) (got int, again time.Duration) {
	if n <= 0 {
		return 0, 0
	}
	if l.redis.Up() {
		got, again, ok := l.tryShared(ctx, p, n)
		if ok || ctx.Err() != nil {
			return got, again
		}
	}
	return l.tryOwn(p, n)
}

// Take implements delivery.Limiter.
func (l *Limiter) Take(ctx context.Context, p delivery.Priority) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, again := l.Try(ctx, p, 1)
		if got == 1 {
			return nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryShared asks the shared bucket. ok is false when the server is away.
func (l *Limiter) tryShared(ctx context.Context, p delivery.Priority, n int) (got int, again time.Duration, ok bool) {
	l.mu.Lock()
	if l.now().Sub(l.stocked) > holdFor {
		l.stock = 0
	}
	ahead := 0
	if p == delivery.Reply {
		got, ahead = min(n, l.stock), int(l.hold.Load())
		l.stock -= got
	}
	if got == n {
		l.mu.Unlock()
		return got, 0, true
	}
	drain := l.share || l.redis.restarts.Load() != l.restarts
	var more int
	var err error
	if drain { // nobody else asks before the bucket is drained
		defer l.mu.Unlock()
		l.restarts = l.redis.restarts.Load()
		more, again, err = l.ask(ctx, p, n-got, 0, true, false)
	} else {
		l.mu.Unlock()
		more, again, err = l.ask(ctx, p, n-got, ahead, false, false)
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	if !l.redis.note(ctx, err) {
		l.lost()
		return got, 0, got > 0
	}
	if err != nil {
		return got, time.Second, true
	}
	if l.redis.restarts.Load() != l.restarts { // it was started again just before this answer
		l.stock = 0
		return got, time.Millisecond, true
	}
	if drain {
		l.share, l.stock = false, 0
	}
	if extra := more - (n - got); extra > 0 {
		l.stock, l.stocked = l.stock+extra, l.now()
		more -= extra
	}
	return got + more, again, true
}

// ask runs the script: n slots, and as many more as ahead says if they are there.
func (l *Limiter) ask(ctx context.Context, p delivery.Priority, n, ahead int, drain, throttled bool) (int, time.Duration, error) {
	res, err := script.Run(ctx, l.redis.client, l.keys, l.announced(), l.alive(), l.id, int(p), n,
		flag(drain), flag(throttled), present.Seconds(), ahead, l.fake()).Int64Slice()
	if err != nil {
		return 0, 0, err
	}
	if len(res) != 3 {
		return 0, 0, fmt.Errorf("rate script answered %d values", len(res))
	}
	if p >= 0 {
		l.hold.Store(res[2])
	}
	return int(res[0]), time.Duration(res[1]) * time.Microsecond, nil
}

// beat says that this instance uses the shared bucket.
func (l *Limiter) beat(ctx context.Context) error {
	_, _, err := l.ask(ctx, -1, 0, 0, false, false)
	return err
}

// lost begins the use of the own share.
func (l *Limiter) lost() {
	if l.share {
		return
	}
	now := l.now()
	l.share, l.stock = true, 0
	l.from = now
	if l.others = l.alive(); l.others > 1 {
		l.from = now.Add(settle)
	}
	l.own.drain(l.from)
}

// tryOwn takes from this instance's share.
func (l *Limiter) tryOwn(p delivery.Priority, n int) (got int, again time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost()
	now := l.now()
	others := max(1, l.alive())
	if others > l.others && now.Sub(l.born) < young { // they have yet to notice us
		l.from = now.Add(settle)
		l.own.drain(l.from)
	}
	l.others = others
	if wait := l.from.Sub(now); wait > 0 {
		return 0, min(wait, time.Second)
	}
	share := float64(int(l.limit(now)) / others)
	return l.own.take(rateOf(share), p, n, now)
}

func flag(b bool) string { return strconv.Itoa(map[bool]int{true: 1}[b]) }
