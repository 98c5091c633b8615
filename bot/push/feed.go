package push

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/setting"
)

const (
	// feeders is how many batches are under way at once: while one commits, the next
	// is chosen.
	feeders = 2
	// batchMost is how many pushes one transaction hands over.
	batchMost = 64
	// lookEvery is how often the tables are looked at for what no wake-up told of.
	lookEvery = time.Second
	// leaseFor is how long an instance feeds an account after it last said so. When
	// one is killed, pushes rest for so long at most.
	leaseFor = 4 * time.Second
	// decidedFor is how long a decision stands while its message waits for a slot.
	decidedFor = 5 * time.Second
	// knownFor is how long settings, budgets, templates and active runs are used
	// before they are read again.
	knownFor = 500 * time.Millisecond
	// sinceFinished keeps the question whether a run is finished from being asked
	// too often.
	sinceFinished = time.Second
)

// Feeder hands pushes to delivery: it chooses what is due, climbs the ladder for
// each, and makes it queued in the transaction that puts its message into the
// outbox. Only one instance feeds an account at a time, so that two do not get in
// each other's way; should two do so all the same, a push is queued once.
type Feeder struct {
	store    *Store
	pool     *pgxpool.Pool
	out      *delivery.Outbox
	runs     Runs
	settings func() setting.Values
	texts    bot.Texts
	oa       string
	instance string
	now      func() time.Time
	alarm    func(reason string)

	mu     sync.Mutex // guards the choice of what goes next
	lines  map[lineKey]*line
	inHand map[bot.CitizenID]bool
	known  known
	told   map[string]time.Time // days on which an alarm was raised, by its reason
	lease  time.Time            // we feed until then
	denied time.Time            // somebody else does, asked then
}

// Options are what a feeder stands on.
type Options struct {
	Pool     *pgxpool.Pool
	Outbox   *delivery.Outbox
	Runs     Runs
	Settings func() setting.Values
	Texts    bot.Texts // words around a digest
	OA       string
	Instance string
	Now      func() time.Time // default time.Now
	// Alarm is told, once a day and reason, that notices wait for a new day's budget or
	// quota (ReasonBudget, ReasonQuota). It must not block.
	Alarm func(reason string)
}

// NewFeeder returns a feeder of one account's pushes.
func NewFeeder(s *Store, o Options) *Feeder {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alarm == nil {
		o.Alarm = func(string) {}
	}
	return &Feeder{store: s, pool: o.Pool, out: o.Outbox, runs: o.Runs, settings: o.Settings, texts: o.Texts, oa: o.OA,
		instance: o.Instance, now: o.Now, alarm: o.Alarm, told: map[string]time.Time{}, lines: map[lineKey]*line{}, inHand: map[bot.CitizenID]bool{}}
}

// priority is delivery's word for a class.
func (c Class) priority() delivery.Priority {
	switch c {
	case Urgent:
		return delivery.Urgent
	case Notice:
		return delivery.Notice
	}
	return delivery.Broadcast
}

// Run feeds until ctx ends.
func (f *Feeder) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range feeders {
		workers.Go(func() {
			for ctx.Err() == nil {
				wait, err := f.round(ctx)
				if err != nil && ctx.Err() == nil {
					slog.Error("cannot feed pushes", "error", err)
					wait = lookEvery
				}
				if wait <= 0 {
					continue
				}
				select {
				case <-ctx.Done():
				case <-f.store.wake:
					f.rouse()
				case <-time.After(min(wait, lookEvery)):
				}
			}
		})
	}
	workers.Wait()
	f.leave(context.WithoutCancel(ctx))
	return nil
}

// leave lets another instance feed the account at once.
func (f *Feeder) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	// Failing that, the lease ends.
	if _, err := f.pool.Exec(ctx, `UPDATE push_feed SET until = clock_timestamp() WHERE oa_id = $1 AND instance = $2`, f.oa, f.instance); err != nil {
		slog.Warn("cannot leave the feeding of pushes to others", "error", err)
	}
}

// rouse lets every line be looked at again.
func (f *Feeder) rouse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		l.rest = time.Time{}
	}
}

// round feeds one batch of each line that may go, and says how long to wait before
// the next round; zero means that there is more to do now.
func (f *Feeder) round(ctx context.Context) (wait time.Duration, err error) {
	if ok, err := f.mine(ctx); err != nil || !ok {
		return lookEvery, err
	}
	keys, err := f.open(ctx)
	if err != nil {
		return lookEvery, err
	}
	wait = lookEvery
	for _, k := range keys {
		again, err := f.feed(ctx, k)
		if err != nil {
			return lookEvery, err
		}
		wait = min(wait, again)
	}
	return wait, nil
}

// mine reports whether this instance feeds the account.
func (f *Feeder) mine(ctx context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Before(f.lease.Add(-leaseFor / 2)) {
		return true, nil
	}
	if now.Sub(f.denied) < lookEvery && !now.Before(f.lease) {
		return false, nil
	}
	tag, err := f.pool.Exec(ctx, `
INSERT INTO push_feed AS f (oa_id, instance, until) VALUES ($1, $2, clock_timestamp() + $3::interval)
ON CONFLICT (oa_id) DO UPDATE SET instance = EXCLUDED.instance, until = EXCLUDED.until
WHERE f.instance = EXCLUDED.instance OR f.until < clock_timestamp()`, f.oa, f.instance, leaseFor)
	if err != nil {
		return false, err
	}
	if tag.RowsAffected() == 0 {
		f.denied, f.lease = now, time.Time{}
		return false, nil
	}
	f.lease = now.Add(leaseFor)
	return true, nil
}

// open lists the lines that may have something to go, in their order.
func (f *Feeder) open(ctx context.Context) ([]lineKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if err := f.learn(ctx, now); err != nil {
		return nil, err
	}
	from, to := f.known.settings.Night()
	night := between(minuteOf(now), from, to) // nothing but what is urgent is even looked at
	keys := []lineKey{{class: Urgent}}
	for _, r := range f.known.runs {
		if r.Class == Urgent {
			keys = append(keys, lineKey{class: Urgent, run: r.ID})
		}
	}
	if !night {
		keys = append(keys, lineKey{class: Notice}, lineKey{class: Notice, digest: true})
	}
	for _, r := range f.known.runs {
		if r.Class != Urgent && (!night || r.AnyHour) {
			keys = append(keys, lineKey{class: r.Class, run: r.ID})
		}
	}
	open := keys[:0]
	alive := make(map[lineKey]bool, len(keys))
	for _, k := range keys {
		alive[k] = true
		l := f.lines[k]
		if l == nil {
			l = &line{key: k, want: 2}
			f.lines[k] = l
		}
		if len(l.ready) > 0 || !now.Before(l.rest) {
			open = append(open, k)
		}
	}
	for k, l := range f.lines {
		if !alive[k] { // paused, cancelled or done, or it is night
			f.letGo(l.ready)
			delete(f.lines, k)
		}
	}
	return open, nil
}

// feed hands over what there are slots for of one line. It says after how long there
// may be more.
func (f *Feeder) feed(ctx context.Context, k lineKey) (again time.Duration, err error) {
	n, again, stop, err := f.decided(ctx, k)
	if err != nil {
		return lookEvery, err
	}
	if stop != "" {
		slog.Warn("a broadcast cannot go on", "run", k.run, "cause", stop)
		err := f.runs.Stop(ctx, k.run, stop)
		f.forget()
		return lookEvery, err
	}
	if n == 0 {
		return again, nil
	}
	// Places and slots come first: what is then marked as sending is what a call may
	// begin for, and nothing else.
	got, again := f.out.Reserve(ctx, k.class.priority(), min(n, batchMost))
	if got.N == 0 {
		return again, nil
	}
	defer got.Return()
	sends := f.take(k, got.N)
	defer func() {
		f.mu.Lock()
		f.letGo(sends)
		f.mu.Unlock()
	}()
	return 0, f.hand(ctx, slices.Clone(sends), got)
}

// forget lets what is known be read again before the next batch.
func (f *Feeder) forget() {
	f.mu.Lock()
	f.known.read = time.Time{}
	f.mu.Unlock()
}

// hand queues messages and starts their calls. Who is not pending any more falls out.
func (f *Feeder) hand(ctx context.Context, sends []sending, got *delivery.Reserved) error {
	var items []delivery.Item
	err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		kept, err := f.store.queue(ctx, tx, sends, f.now())
		if err != nil || len(kept) == 0 {
			return err
		}
		items = make([]delivery.Item, len(kept))
		for i := range kept {
			items[i] = kept[i].item
		}
		got.Assign(items)
		return f.out.Enqueue(ctx, tx, items)
	})
	if err != nil {
		f.out.Withdraw(items)
		return fmt.Errorf("hand over %d pushes: %w", len(sends), err)
	}
	f.out.Hand(items)
	return nil
}
