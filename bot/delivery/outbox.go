package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/group"
	"congdanso/bot/seal"
)

const (
	// bodyPurpose and historyPurpose bind sealed values to their tables.
	bodyPurpose    = "outbox"
	historyPurpose = "history"
	// slotLife is how long a slot may be kept before its call begins: a slot used
	// much later would crowd the minute it is used in.
	slotLife = 500 * time.Millisecond
	// settlers is how many statements that settle calls are under way at once.
	settlers = 2
	// otherLife is how long what is not a reply may stay undelivered by default.
	otherLife = 24 * time.Hour
)

// Outbox keeps what is to be delivered, and delivers it while Run runs.
type Outbox struct {
	opt     Options
	pool    *pgxpool.Pool
	keys    *seal.Keyring
	zalo    Zalo
	limiter Limiter

	queue  *queue
	places places
	health health
	settle *group.Group[settlement]
	notes  notes
	meter  *meter

	kick    chan struct{} // something became ready, or a place free
	look    chan struct{} // the table should be polled at once
	paused  atomic.Bool
	running atomic.Bool
	skew    atomic.Int64 // Postgres's clock minus ours, in nanoseconds
	lastID  atomic.Int64
	polls   atomic.Int64
	backlog [priorities]atomic.Bool  // more waits in the table than fits in memory
	again   [priorities]atomic.Int64 // the limiter has nothing before then, in unix nanoseconds
	air     air
	work    context.Context // under which calls are made and settled; set by Run
	tickets struct {
		sync.Mutex
		held map[*ticket]struct{}
	}

	beforeCall func(*job) // for tests: between the mark and the call
	afterCall  func(*job) // for tests: between the call and its settling
}

// New returns an outbox that delivers through zalo with slots of limiter.
func New(opt Options, pool *pgxpool.Pool, keys *seal.Keyring, zalo Zalo, limiter Limiter) *Outbox {
	opt = opt.withDefaults()
	o := &Outbox{
		opt: opt, pool: pool, keys: keys, zalo: zalo, limiter: limiter,
		queue: newQueue(), places: places{total: opt.Places}, meter: newMeter(),
		health: health{now: opt.Now, pause: opt.HumanPause},
		kick:   make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
	o.settle = group.New(settlers, max(64, opt.Places), o.settleBatch)
	o.notes.init(opt.Now)
	o.tickets.held = map[*ticket]struct{}{}
	o.paused.Store(opt.Paused)
	return o
}

// ticket is what an item carries from Prepare to Hand.
type ticket struct {
	job      *job
	body     []byte
	place    bool // it holds a place in the air and a slot
	state    string
	prepared time.Time
	over     bool // handed or withdrawn
}

// body is what the outbox keeps of an item, sealed.
type body struct {
	Message *bot.Message `json:"message,omitempty"`
	Call    *bot.Call    `json:"call,omitempty"`
}

// Prepare readies items for a transaction that is about to begin: it seals them,
// and where places and slots are free it reserves them for replies, so that the
// transaction itself can mark them as sending. The same items then go to
// QueueEnqueue, and to Hand once the transaction has committed; whatever is not
// handed has to be given to Withdraw. Items may be copied in between.
//
// The proof that this keeps the order of a crash: a slot and a place are taken
// first; the mark commits with the turn, before the call; and a row is only
// inserted as sending when the statement sees no other row of that citizen that
// has to go first, under a lock that every other mark of that citizen takes too.
func (o *Outbox) Prepare(ctx context.Context, items []Item) {
	now := o.opt.Now()
	var hopeful []*ticket
	seen := make(map[bot.CitizenID]bool, len(items))
	for i := range items {
		t := o.ticketFor(&items[i], now)
		first := !seen[t.job.who]
		seen[t.job.who] = true
		if _, send := o.review(t.job, now); send && first && t.job.priority == Reply && items[i].NotBefore.IsZero() && o.queue.idle(t.job.who) {
			hopeful = append(hopeful, t)
		}
	}
	if len(hopeful) == 0 || !o.running.Load() || o.paused.Load() || o.backlog[Reply].Load() || !o.health.well() {
		return
	}
	if old := o.queue.oldest(Reply); !old.IsZero() && now.Sub(old) > slotLife {
		return // others have waited longer
	}
	if now.UnixNano() < o.again[Reply].Load() {
		return // the limiter has nothing for us yet
	}
	_, ready := o.queue.counts()
	n := o.places.take(len(hopeful), ready[Urgent]+ready[Notice]+ready[Broadcast]+ready[Upkeep] > 0)
	got := 0
	if n > 0 {
		got, _ = o.limiter.Try(ctx, Reply, n)
		o.places.give(n - got)
	}
	if got == 0 {
		return
	}
	taken := o.opt.Now()
	o.tickets.Lock()
	for _, t := range hopeful[:got] {
		t.place, t.job.slotAt = true, taken
		o.tickets.held[t] = struct{}{}
	}
	o.tickets.Unlock()
}

func (o *Outbox) ticketFor(it *Item, now time.Time) *ticket {
	if it.ticket != nil {
		return it.ticket
	}
	j := &job{who: it.To, id: o.nextID(), priority: it.Priority, kind: it.kind(), msg: it.Message, call: it.Call,
		secret: it.NoHistory, created: now, expires: it.ExpiresAt}
	if it.Call != nil && it.Call.Kind == bot.CallForget {
		j.secret = true // nothing of the person stays
	}
	if j.expires.IsZero() {
		life := o.opt.ReplyLife
		if it.Priority != Reply {
			life = otherLife
		}
		j.expires = now.Add(life)
	}
	if !it.InReplyAt.IsZero() && it.Call == nil {
		j.window = it.InReplyAt.Add(window)
	}
	plain, err := json.Marshal(body{it.Message, it.Call})
	if err != nil {
		panic(fmt.Sprintf("encode item: %v", err)) // plain strings and numbers always encode
	}
	it.ticket = &ticket{job: j, body: o.keys.Seal(bodyPurpose, plain), prepared: now}
	return it.ticket
}

// nextID makes ids that grow, and that grow with Postgres's time across instances.
func (o *Outbox) nextID() int64 {
	id := (o.opt.Now().UnixNano()+o.skew.Load())/1000<<10 | rand.Int64N(1<<10)
	for {
		last := o.lastID.Load()
		next := max(id, last+1)
		if o.lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}

// lockClass keeps the locks of citizens apart from other advisory locks.
const lockClass = 0x6f757462 // "outb"

// lockKey is the second half of a citizen's advisory lock. Two citizens that
// share one are kept apart for no reason, and only for a moment.
func lockKey(who bot.CitizenID) int32 {
	h := fnv.New32a()
	h.Write([]byte(who.OA))
	h.Write([]byte{0})
	h.Write([]byte(who.User))
	return int32(h.Sum32())
}

// The locks are taken by a statement of their own, so that the statement after
// it, whose snapshot is younger, sees everything that was marked under them. A
// lock that is held elsewhere is not waited for: no deadlock can come of it.
const lockSQL = `
SELECT set_config('congdanso.free',
    (SELECT array_agg(pg_try_advisory_xact_lock($1, k) ORDER BY n)::text FROM unnest($2::int[]) WITH ORDINALITY AS u (k, n)),
    true)`

// blocking says whether row e keeps its citizen's row o from being sent: any row
// that is being sent; a reply that has to go first; and for what is no reply,
// every waiting reply and what was decided before it. What was refused blocks
// until blocks_until; what is not due yet and was never tried does not block.
// Placeholders: e is the other row; %[1]s its id's and %[2]s its priority's bound.
const blocking = `
    (e.state = 'sending'
     OR (e.priority = 0 AND (%[2]s <> 0 OR e.id < %[1]s) AND e.state IN ('pending', 'claimed', 'unknown')
         OR e.priority <> 0 AND %[2]s <> 0 AND e.id < %[1]s AND e.state IN ('pending', 'claimed'))
        AND coalesce(e.blocks_until > clock_timestamp(), e.state = 'claimed' OR e.due_at <= clock_timestamp()))`

var enqueueSQL = `
INSERT INTO outbox (oa_id, citizen, id, priority, kind, state, tries, secret, instance, due_at,
                    created_at, expires_at, window_ends, called_at, about, body)
SELECT w.oa_id, w.citizen, w.id, w.priority, w.kind, s.state, CASE s.state WHEN 'sending' THEN 1 ELSE 0 END, w.secret,
       CASE s.state WHEN 'pending' THEN NULL ELSE $1 END,
       CASE s.state WHEN 'pending' THEN w.due_at ELSE clock_timestamp() + $2::interval END,
       w.created_at, w.expires_at, w.window_ends, CASE s.state WHEN 'sending' THEN clock_timestamp() END, w.about, w.body
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::smallint[], $7::text[], $8::bool[], $9::bool[], $10::int[],
            $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::bytea[])
     AS w (oa_id, citizen, id, priority, kind, secret, mine, slot, due_at, created_at, expires_at, window_ends, about, body)
CROSS JOIN LATERAL (SELECT CASE
    WHEN w.slot > 0 AND (current_setting('congdanso.free', true)::bool[])[w.slot] AND NOT EXISTS (
        SELECT FROM outbox e WHERE e.oa_id = w.oa_id AND e.citizen = w.citizen AND ` +
	fmt.Sprintf(blocking, "w.id", "w.priority") + `) THEN 'sending'
    WHEN w.mine THEN 'claimed' ELSE 'pending' END AS state) s
RETURNING id, state`

// QueueEnqueue adds to batch the statements that put items into the outbox. The
// batch runs in a READ COMMITTED transaction. Items that were prepared are
// leased to this instance and wait for Hand; others are found by the next poll
// of any instance.
func (o *Outbox) QueueEnqueue(batch *pgx.Batch, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	now := o.opt.Now()
	n := len(items)
	tickets := make(map[int64]*ticket, n)
	oas, users, ids := make([]string, n), make([]string, n), make([]int64, n)
	prios, kinds := make([]int16, n), make([]string, n)
	secret, mine, slots := make([]bool, n), make([]bool, n), make([]int32, n)
	due, created, expires, windows := make([]time.Time, n), make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n)
	abouts, bodies := make([]*string, n), make([][]byte, n)
	var locks []int32
	backlog := o.backlog[Reply].Load() || o.paused.Load() || !o.running.Load()
	for i := range items {
		it := items[i]
		if it.To.IsZero() || (it.Message == nil) == (it.Call == nil) || it.Priority < 0 || it.Priority >= priorities {
			return fmt.Errorf("enqueue: item %d has no citizen, no priority, or not one content", i)
		}
		prepared := it.ticket != nil
		t := o.ticketFor(&it, now)
		j := t.job
		tickets[j.id] = t
		oas[i], users[i], ids[i] = j.who.OA, j.who.User, j.id
		prios[i], kinds[i], secret[i], bodies[i] = int16(j.priority), j.kind, j.secret, t.body
		mine[i] = prepared && !backlog && it.NotBefore.IsZero()
		created[i], expires[i], due[i] = j.created, j.expires, j.created
		if !it.NotBefore.IsZero() {
			due[i] = it.NotBefore
		}
		if !j.window.IsZero() {
			windows[i] = &j.window
		}
		if j.msg != nil && j.msg.About != "" {
			about := clean(j.msg.About)
			abouts[i] = &about
		}
		j.leaseEnd = now.Add(o.opt.Lease)
		if t.place {
			locks = append(locks, lockKey(j.who))
			slots[i] = int32(len(locks))
		}
	}
	if len(locks) > 0 {
		batch.Queue(lockSQL, int32(lockClass), locks)
	}
	batch.Queue(enqueueSQL, o.opt.Instance, o.opt.Lease, oas, users, ids, prios, kinds, secret, mine, slots,
		due, created, expires, windows, abouts, bodies).Query(func(rows pgx.Rows) error {
		var id int64
		var state string
		_, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error {
			tickets[id].state = state
			return nil
		})
		if err != nil {
			return fmt.Errorf("enqueue %d items: %w", n, err)
		}
		return nil
	})
	return nil
}

// Enqueue puts items into the outbox inside tx; see QueueEnqueue.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	if err := o.QueueEnqueue(batch, items); err != nil {
		return err
	}
	return tx.SendBatch(ctx, batch).Close()
}

// Hand starts the delivery of prepared items whose transaction has committed.
// It does not block.
func (o *Outbox) Hand(items []Item) {
	for i := range items {
		t := items[i].ticket
		if t == nil {
			o.lookNow() // it was enqueued for anybody to take
			continue
		}
		if !o.end(t) {
			continue
		}
		switch {
		case t.state == stateSending && t.place:
			t.job.tries = 1
			o.queue.fly(t.job)
			o.launch(t.job)
			continue
		case t.state == stateClaimed:
			o.queue.push(t.job)
		}
		if t.place {
			o.places.give(1)
		}
	}
	o.nudge()
}

// Withdraw gives back what Prepare reserved for items that were not handed:
// their transaction failed, or their turn fell out of it. It does nothing for
// items that were handed.
func (o *Outbox) Withdraw(items []Item) {
	for i := range items {
		if t := items[i].ticket; t != nil && o.end(t) && t.place {
			o.places.give(1)
		}
	}
	o.nudge()
}

// end marks a ticket as over, and reports whether it was not before.
func (o *Outbox) end(t *ticket) bool {
	o.tickets.Lock()
	defer o.tickets.Unlock()
	if t.over {
		return false
	}
	t.over = true
	delete(o.tickets.held, t)
	return true
}

// forgetTickets gives back the places of tickets that nobody handed or withdrew.
// Should their transaction have committed after all, their rows are found when
// their leases end.
func (o *Outbox) forgetTickets(now time.Time) {
	o.tickets.Lock()
	defer o.tickets.Unlock()
	for t := range o.tickets.held {
		if now.Sub(t.prepared) > o.opt.Lease {
			t.over = true
			delete(o.tickets.held, t)
			o.places.give(1)
		}
	}
}

// Pause stops sending (true): everything is still accepted and kept; or starts
// it again.
func (o *Outbox) Pause(paused bool) {
	o.paused.Store(paused)
	o.lookNow()
	o.nudge()
}

// Wake says that rows for anybody to take were put into the outbox.
func (o *Outbox) Wake() { o.lookNow() }

func (o *Outbox) nudge() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

func (o *Outbox) lookNow() {
	select {
	case o.look <- struct{}{}:
	default:
	}
}

// clean makes words from outside storable: Postgres takes no NUL bytes in text.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}
