package push

import (
	"context"
	"log/slog"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

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
