package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
)

const (
	// keptForReplies is how many places pushes leave free, so that a reply in the
	// middle of a fan-out waits for a slot of the rate and never for a place.
	keptForReplies = 8
	// unansweredMost is how many calls of pushes in a row may end without an answer
	// before the others wait: each of them may have arrived, and none is repeated.
	unansweredMost = 5
	// probeEvery is how often one push tries then whether Zalo answers again.
	probeEvery = time.Minute
)

// Reserved are places in the air and slots of the rate, taken for pushes whose
// transaction is about to begin.
type Reserved struct {
	N     int // how many are left
	out   *Outbox
	p     Priority
	taken time.Time
	probe bool
}

// Reserve takes up to n places and slots for pushes of a priority. When it got none
// it says after how long to ask again. What is not assigned has to be returned.
func (o *Outbox) Reserve(ctx context.Context, p Priority, n int) (r *Reserved, again time.Duration) {
	r = &Reserved{out: o, p: p}
	if !o.running.Load() || o.paused.Load() {
		return r, time.Second
	}
	now := o.opt.Now()
	if wait := time.Unix(0, o.again[p].Load()).Sub(now); wait > 0 {
		return r, wait
	}
	n, wait := o.brake.allow(n, now)
	if n == 0 {
		return r, wait
	}
	r.probe = !o.brake.until().IsZero()
	if n, wait = o.health.allow(n); n == 0 {
		return r, wait
	}
	if n = o.places.takeForPushes(n); n == 0 {
		o.health.untried()
		return r, time.Millisecond
	}
	got, again := o.limiter.Try(ctx, p, n)
	o.places.give(n - got)
	if got < n {
		again = max(again, time.Millisecond)
		o.again[p].Store(now.Add(again).UnixNano())
	}
	if got == 0 {
		o.health.untried()
		return r, again
	}
	r.N, r.taken = got, o.opt.Now()
	return r, 0
}

// Assign gives reserved places to items, in their order, as far as they reach. The
// items then go to QueueEnqueue, and to Hand once the transaction has committed;
// those of a transaction that failed have to be given to Withdraw.
func (r *Reserved) Assign(items []Item) {
	o := r.out
	now := o.opt.Now()
	o.tickets.Lock()
	defer o.tickets.Unlock()
	for i := range items {
		t := o.ticketFor(&items[i], now)
		if r.N == 0 || t.place {
			continue
		}
		r.N--
		t.place, t.job.slotAt, t.job.probe = true, r.taken, r.probe
		o.tickets.held[t] = struct{}{}
	}
}

// Return gives back the places that no item took. Their slots are lost.
func (r *Reserved) Return() {
	if r.N > 0 {
		r.out.places.give(r.N)
		r.out.health.untried()
		r.N = 0
	}
}

// takeForPushes takes up to n places and leaves some free for replies. Where more are
// wanted than are free, it waits for a quarter of all, so that their transaction is
// shared by some.
func (p *places) takeForPushes(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.total - p.taken - min(keptForReplies, p.total/4)
	if free <= 0 || free < n && free < p.total/4 {
		return 0
	}
	n = min(n, free)
	p.taken += n
	return n
}

// brake stops pushes while calls end without an answer.
type brake struct {
	mu         sync.Mutex
	unanswered int
	since      time.Time // when pushes were stopped
	next       time.Time // when one may try again; zero: nothing is stopped
}

// allow says how many of n pushes may go: all, or one a minute while they rest.
func (b *brake) allow(n int, now time.Time) (allowed int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.next.IsZero():
		return n, 0
	case now.Before(b.next):
		return 0, min(b.next.Sub(now), time.Second)
	}
	b.next = now.Add(probeEvery)
	return min(n, 1), 0
}

// until is when the next one tries; zero while nothing is stopped.
func (b *brake) until() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// cutOff notes a call of a push that ended without an answer. It reports whether
// pushes rest from now on.
func (b *brake) cutOff(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unanswered++
	if b.unanswered < unansweredMost {
		return false
	}
	news := b.next.IsZero()
	if news {
		b.since, b.next = now, now.Add(probeEvery)
	}
	return news
}

// answered notes that Zalo answered a call; only an acceptance lets all go again, and
// not of a call that was in the air when the others were cut off.
func (b *brake) answered(accepted bool, began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if accepted && !began.Before(b.since) {
		b.next = time.Time{}
	}
	if b.next.IsZero() {
		b.unanswered = 0
	}
}

// PushesRest tells when the next push tries whether Zalo answers again; zero while
// pushes go.
func (o *Outbox) PushesRest() time.Time { return o.brake.until() }

// CancelPushes removes, in the caller's transaction, the pushes of a citizen that no
// call has begun for, and returns their refs. What is in the air ends as it ends.
func CancelPushes(ctx context.Context, tx pgx.Tx, who bot.CitizenID) (refs []int64, err error) {
	rows, err := tx.Query(ctx, `
DELETE FROM outbox WHERE oa_id = $1 AND citizen = $2 AND refs IS NOT NULL AND state IN ('pending', 'claimed', 'held')
RETURNING refs`, who.OA, who.User)
	return gatherRefs(rows, err)
}

// CancelRef is CancelPushes for everybody's pushes of one source. It reads the whole
// outbox, which is small.
func CancelRef(ctx context.Context, tx pgx.Tx, ref int64) (who []bot.CitizenID, err error) {
	rows, err := tx.Query(ctx, `
DELETE FROM outbox WHERE refs @> ARRAY[$1::bigint] AND state IN ('pending', 'claimed', 'held')
RETURNING oa_id, citizen`, ref)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[bot.CitizenID])
}

// SendingRefs are the refs of a citizen's pushes whose call may be under way.
func SendingRefs(ctx context.Context, tx pgx.Tx, who bot.CitizenID) (refs []int64, err error) {
	rows, err := tx.Query(ctx, `
SELECT refs FROM outbox WHERE oa_id = $1 AND citizen = $2 AND refs IS NOT NULL AND state IN ('sending', 'unknown')`, who.OA, who.User)
	return gatherRefs(rows, err)
}

// ForgetUnknown removes the unknown messages of a source, whose fate a person has
// decided on. An empty who means everybody's.
func ForgetUnknown(ctx context.Context, tx pgx.Tx, ref int64, who []bot.CitizenID) error {
	oas, users := make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	_, err := tx.Exec(ctx, `
DELETE FROM outbox o WHERE refs @> ARRAY[$1::bigint] AND state = 'unknown'
  AND (cardinality($2::text[]) = 0 OR (oa_id, citizen) IN (SELECT * FROM unnest($2::text[], $3::text[])))`, ref, oas, users)
	return err
}

// UnknownPush is a push whose message may or may not have arrived, for whoever looks
// for it where Zalo still lists it.
type UnknownPush struct {
	To       bot.CitizenID
	CalledAt time.Time
}

// UnknownPushes lists people with unknown pushes of the last days, the newest first.
func UnknownPushes(ctx context.Context, pool *pgxpool.Pool, since time.Time, most int) ([]UnknownPush, error) {
	rows, err := pool.Query(ctx, `
SELECT oa_id, citizen, max(called_at) FROM outbox
WHERE state = 'unknown' AND refs IS NOT NULL AND called_at >= $1
GROUP BY oa_id, citizen ORDER BY 3 DESC LIMIT $2`, since, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (u UnknownPush, err error) {
		err = row.Scan(&u.To.OA, &u.To.User, &u.CalledAt)
		return u, err
	})
}

func gatherRefs(rows pgx.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	lists, err := pgx.CollectRows(rows, pgx.RowTo[[]int64])
	var all []int64
	for _, l := range lists {
		all = append(all, l...)
	}
	return all, err
}
