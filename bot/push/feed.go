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

// lineKey names what is fed in order: the copies of a run, the notices of a class,
// or the digests.
type lineKey struct {
	class  Class
	run    int64
	digest bool
}

// line is how far the feeding of one of them is.
type line struct {
	key     lineKey
	after   bot.CitizenID // of a run: the last person chosen; a pass ends and begins anew
	rest    time.Time     // nothing is to be found before then
	asked   time.Time     // whether the run is finished, last
	want    int           // how many are worth deciding on ahead
	ready   []sending     // decided to be sent, waiting for slots
	decided time.Time     // when they were
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

// decided makes sure that a line has messages ready, as far as there are any, and
// says how many; when there are none, after how long to look again; and whether its
// run cannot go on.
func (f *Feeder) decided(ctx context.Context, k lineKey) (n int, again time.Duration, stop string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lines[k]
	if l == nil {
		return 0, lookEvery, "", nil
	}
	now := f.now()
	if len(l.ready) > 0 && now.Sub(l.decided) > decidedFor { // too slow for what was decided
		f.letGo(l.ready)
		l.ready, l.after, l.rest, l.want = nil, bot.CitizenID{}, time.Time{}, max(1, l.want/4)
	}
	if len(l.ready) == 0 && !now.Before(l.rest) {
		if stop, err = f.choose(ctx, l, now); err != nil || stop != "" {
			return 0, lookEvery, stop, err
		}
	}
	if len(l.ready) == 0 {
		return 0, max(0, l.rest.Sub(now)), "", nil
	}
	return len(l.ready), 0, "", nil
}

// take takes up to n ready messages of a line in hand.
func (f *Feeder) take(k lineKey, n int) []sending {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lines[k]
	if l == nil {
		return nil
	}
	n = min(n, len(l.ready))
	taken := l.ready[:n:n]
	if l.ready = l.ready[n:]; len(l.ready) == 0 {
		l.want = min(2*l.want, batchMost)
	}
	return taken
}

// letGo takes the people of messages out of hand.
func (f *Feeder) letGo(sends []sending) {
	for _, s := range sends {
		delete(f.inHand, s.who)
	}
}

// forget lets what is known be read again before the next batch.
func (f *Feeder) forget() {
	f.mu.Lock()
	f.known.read = time.Time{}
	f.mu.Unlock()
}

// sending is one message that says one or more pushes of a person.
type sending struct {
	who    bot.CitizenID
	pushes []*candidate
	rung   Rung
	cost   int // of one message, đồng
	item   delivery.Item
}

// choose decides on the next candidates of a line: what is not sent now is written
// down at once, the rest is ready. stop is why its run cannot go on.
func (f *Feeder) choose(ctx context.Context, l *line, now time.Time) (stop string, err error) {
	k := l.key
	if err := f.learn(ctx, now); err != nil {
		return "", err
	}
	var run *Run
	if k.run != 0 {
		if run = f.known.run(k.run); run == nil {
			return "", nil
		}
	}
	// People in hand are passed over, so that there must be more than them.
	limit := l.want
	if k.run == 0 {
		limit += len(f.inHand)
	}
	var list []*candidate
	switch {
	case k.run != 0:
		list, err = f.store.copies(ctx, k.run, l.after, now, limit)
	case k.digest:
		limit *= 4
		list, err = f.store.digests(ctx, f.oa, f.known.active(), now, limit)
	default:
		list, err = f.store.notices(ctx, f.oa, k.class, now, limit)
	}
	if err != nil {
		return "", err
	}
	full := len(list) == limit
	if k.run != 0 && len(list) > 0 {
		l.after = list[len(list)-1].who
	}
	people, left := f.pick(list, k, full)
	sends, others, stop, err := f.decide(ctx, people, f.known.env(f.store, f.oa, now, run), run)
	if err != nil {
		return "", err
	}
	if err := f.store.put(ctx, others, now); err != nil {
		return "", err
	}
	f.sound(others, now)
	f.known.spend(sends)
	for _, s := range sends {
		f.inHand[s.who] = true
	}
	l.ready, l.decided = sends, now
	if !full && !left {
		l.rest, l.after = now.Add(lookEvery), bot.CitizenID{}
		if len(list) == 0 {
			f.askFinished(ctx, l, now)
		}
	}
	return stop, nil
}

// sound raises the alarm for notices that wait for a new day's budget or quota.
func (f *Feeder) sound(others []ending, now time.Time) {
	for _, e := range others {
		if e.d.way != later || e.d.reason == "" || f.told[e.d.reason].Equal(dayOf(now)) {
			continue
		}
		f.told[e.d.reason] = dayOf(now)
		f.alarm(e.d.reason)
	}
}

// pick groups candidates by person: one a person, all of theirs for a digest. left
// reports that some were passed over that may go soon.
func (f *Feeder) pick(list []*candidate, k lineKey, full bool) (people [][]*candidate, left bool) {
	if k.digest && full { // the last person's may go on behind the edge
		last := list[len(list)-1].who
		for len(list) > 0 && list[len(list)-1].who == last && list[0].who != last {
			list = list[:len(list)-1]
		}
	}
	index := map[bot.CitizenID]int{}
	for _, c := range list {
		i, seen := index[c.who]
		switch {
		case f.inHand[c.who] || seen && !k.digest:
			left = true
		case seen:
			people[i] = append(people[i], c)
		default:
			index[c.who] = len(people)
			people = append(people, []*candidate{c})
		}
	}
	return people, left
}

// askFinished tells a run that no copy of it is to come any more, if that is so.
// Nothing waits for it.
func (f *Feeder) askFinished(ctx context.Context, l *line, now time.Time) {
	if l.key.run == 0 || now.Sub(l.asked) < sinceFinished {
		return
	}
	l.asked = now
	run := l.key.run
	go func() {
		books, err := f.store.Books(ctx, run)
		if err == nil && books.Pending == 0 {
			err = f.runs.Finish(ctx, run, now)
		}
		if err != nil && ctx.Err() == nil {
			slog.Error("cannot look whether a broadcast is done", "run", run, "error", err)
		}
	}()
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
