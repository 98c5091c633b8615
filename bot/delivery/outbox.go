package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	brake  brake
	settle *group.Group[settlement]
	books  *group.Group[settlement] // pushes, one statement at a time: nobody waits for them, and more share it
	notes  notes
	meter  *meter

	kick    chan struct{} // something became ready, or a place free
	look    chan struct{} // the table should be polled at once
	paused  atomic.Bool
	running atomic.Bool
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
	o.books = group.New(1, max(64, opt.Places), o.settleBatch)
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
	Message  *bot.Message  `json:"message,omitempty"`
	Template *bot.Template `json:"template,omitempty"`
	Call     *bot.Call     `json:"call,omitempty"`
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
	j := &job{who: it.To, priority: it.Priority, kind: it.kind(), msg: it.Message, template: it.Template, call: it.Call,
		refs: it.Refs, rung: it.Rung, secret: it.NoHistory, event: it.EventID, created: now, expires: it.ExpiresAt}
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
	if !it.InReplyAt.IsZero() && it.Message != nil {
		j.window = it.InReplyAt.Add(window)
	}
	if !it.NotAfter.IsZero() && (j.window.IsZero() || it.NotAfter.Before(j.window)) {
		j.window = it.NotAfter
	}
	plain, err := json.Marshal(body{it.Message, it.Template, it.Call})
	if err != nil {
		panic(fmt.Sprintf("encode item: %v", err)) // plain strings and numbers always encode
	}
	it.ticket = &ticket{job: j, body: o.keys.Seal(bodyPurpose, plain), prepared: now}
	return it.ticket
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
