package zalosim

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// ladder is when a failed delivery is tried again, counted from the failure
// before; after the last the app is taken off the webhook (Zalo: webhook
// overview).
var ladder = [...]time.Duration{30 * time.Second, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// Disturbance says how webhooks are duplicated, delayed, dropped and shuffled.
// Chances lie between 0 and 1.
type Disturbance struct {
	Events    []string // event names it applies to; empty: all
	Drop      float64
	Duplicate float64
	Delay     float64
	MaxDelay  time.Duration // by the stand-in's clock
	Shuffle   int           // collect so many events, then send them in random order
	Seed      uint64
}

// delivery is one event on its way.
type delivery struct {
	event, user string
	body        []byte
	try         int       // 0: the first
	due         time.Time // when it waits
}

// post delivers webhooks. Each worker has a queue and a connection of its own;
// one person's events share a queue, so that they usually keep their order.
type post struct {
	s    *Sim
	wire wire

	mu        sync.Mutex
	url       string
	off       bool // taken off the webhook
	epoch     int  // grows when the address changes or the subscription ends
	hold      bool
	held      []*delivery
	shuffled  []*delivery
	disturb   Disturbance
	rng       *rand.Rand
	shards    []shard
	next      int // for UnorderedWebhooks
	waiting   byDue
	busy      int // in a queue or in the air
	rescan    chan struct{}
	idleAgain chan struct{} // closed and replaced when busy falls to zero
}

type shard struct {
	queue []*delivery
	wake  chan struct{}
}

func newPost(s *Sim) *post {
	p := &post{
		s:         s,
		url:       s.opt.WebhookURL,
		off:       s.opt.StartSwitchedOff,
		shards:    make([]shard, s.opt.WebhookWorkers),
		rescan:    make(chan struct{}, 1),
		idleAgain: make(chan struct{}),
	}
	for i := range p.shards {
		p.shards[i].wake = make(chan struct{}, 1)
	}
	p.wire = newWire(s.opt)
	return p
}

// enqueue starts an event on its way, as the disturbance in force has it.
func (p *post) enqueue(event, user string, body []byte) {
	d := &delivery{event: event, user: user, body: body}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.url == "" || p.off {
		return
	}
	if p.rng == nil || (len(p.disturb.Events) > 0 && !slices.Contains(p.disturb.Events, event)) {
		p.ready(d)
		return
	}
	if p.rng.Float64() < p.disturb.Drop {
		return
	}
	p.shuffle(d)
	if p.rng.Float64() < p.disturb.Duplicate {
		again := *d
		p.shuffle(&again)
	}
}

// shuffle collects events and lets them go in random order, some of them later.
func (p *post) shuffle(d *delivery) {
	p.shuffled = append(p.shuffled, d)
	if len(p.shuffled) >= p.disturb.Shuffle {
		p.letGo()
	}
}

func (p *post) letGo() {
	batch := p.shuffled
	p.shuffled = nil
	if p.rng != nil && p.disturb.Shuffle > 1 {
		p.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	}
	for _, d := range batch {
		if p.rng != nil && p.disturb.MaxDelay > 0 && p.rng.Float64() < p.disturb.Delay {
			p.later(d, time.Duration(p.rng.Int64N(int64(p.disturb.MaxDelay))))
		} else {
			p.ready(d)
		}
	}
}

// ready puts a delivery into a worker's queue. The caller holds mu.
func (p *post) ready(d *delivery) {
	if p.hold {
		p.held = append(p.held, d)
		return
	}
	i := 0
	if p.s.opt.UnorderedWebhooks {
		p.next = (p.next + 1) % len(p.shards)
		i = p.next
	} else {
		i = int(hashOf(d.user) % uint32(len(p.shards)))
	}
	sh := &p.shards[i]
	sh.queue = append(sh.queue, d)
	p.busy++
	signal(sh.wake)
}

// later makes a delivery wait by the stand-in's clock. The caller holds mu.
func (p *post) later(d *delivery, wait time.Duration) {
	d.due = p.s.clock.Now().Add(wait)
	heap.Push(&p.waiting, d)
	signal(p.rescan)
}

// run delivers until ctx ends.
func (p *post) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range p.shards {
		wg.Go(func() { p.work(ctx, &p.shards[i]) })
	}
	p.schedule(ctx)
	wg.Wait()
}

// schedule moves waiting deliveries into queues when they are due.
func (p *post) schedule(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.mu.Lock()
		p.moveDue()
		var fire <-chan time.Time
		// Taken before looking at the heap's head, so that no move is missed.
		wait, runs, moved := time.Hour, false, p.s.clock.nextMove()
		if len(p.waiting) > 0 {
			wait, runs = p.s.clock.until(p.waiting[0].due)
		}
		p.mu.Unlock()
		if runs {
			timer.Reset(max(wait, time.Millisecond))
			fire = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-fire:
		case <-moved:
		case <-p.rescan:
		}
	}
}

// moveDue queues what has become due. The caller holds mu.
func (p *post) moveDue() {
	now := p.s.clock.Now()
	for len(p.waiting) > 0 && !p.waiting[0].due.After(now) {
		p.ready(heap.Pop(&p.waiting).(*delivery))
	}
}

// work delivers what comes into one queue.
func (p *post) work(ctx context.Context, sh *shard) {
	line := p.wire.line()
	defer line.close()
	for {
		p.mu.Lock()
		var d *delivery
		if len(sh.queue) > 0 {
			d = sh.queue[0]
			sh.queue[0] = nil
			sh.queue = sh.queue[1:]
		}
		url, epoch := p.url, p.epoch
		p.mu.Unlock()
		if d == nil {
			select {
			case <-ctx.Done():
				return
			case <-sh.wake:
			}
			continue
		}
		p.try(ctx, &line, url, epoch, d)
		if ctx.Err() != nil {
			return
		}
	}
}

// try delivers once and decides what follows from the answer.
func (p *post) try(ctx context.Context, line *line, url string, epoch int, d *delivery) {
	opt := &p.s.opt
	began := p.s.clock.Now()
	start := time.Now()
	mac := Sign(opt.AppID, d.body, timestampOf(d.body), opt.OASecretKey)
	status, err := line.post(ctx, url, d.body, mac, d.try)

	if opt.KeepLog > 0 || opt.OnWebhook != nil {
		entry := WebhookLog{At: began, Event: d.event, User: d.user, Body: string(d.body),
			Try: d.try, Status: status, Took: time.Since(start)}
		if err != nil {
			entry.Err = err.Error()
		}
		p.s.webhooks.add(entry)
		if opt.OnWebhook != nil {
			opt.OnWebhook(entry)
		}
	}

	p.mu.Lock()
	switch {
	case epoch != p.epoch || ctx.Err() != nil: // not this subscription any more
	case err == nil && status == 200, err == nil && opt.NoRetryOnStatus:
	case d.try == len(ladder):
		p.switchOff()
	default:
		again := *d
		again.try++
		p.later(&again, ladder[d.try])
	}
	p.busy--
	p.rest()
	p.mu.Unlock()
	p.s.watch.tell(UpdateWebhook, d.user)
}

// rest wakes those who wait for the queues to be empty. The caller holds mu.
func (p *post) rest() {
	if p.busy == 0 {
		close(p.idleAgain)
		p.idleAgain = make(chan struct{})
	}
}

// switchOff takes the app off the webhook: what waits is lost. The caller holds mu.
func (p *post) switchOff() {
	p.off = true
	p.forget()
}

// forget drops everything on its way. The caller holds mu.
func (p *post) forget() {
	p.epoch++
	p.held, p.shuffled, p.waiting = nil, nil, nil
	for i := range p.shards {
		p.busy -= len(p.shards[i].queue)
		p.shards[i].queue = nil
	}
	p.rest()
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// hashOf is FNV-1a.
func hashOf(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// timestampOf finds the text of the body's timestamp, without quotes.
func timestampOf(body []byte) string {
	// Bodies made here hold the key once, with a string of digits; quotes inside
	// texts are escaped, so this cannot be a text.
	key := []byte(`"timestamp":"`)
	if i := bytes.Index(body, key); i >= 0 && i == bytes.LastIndex(body, key) {
		rest := body[i+len(key):]
		if j := bytes.IndexByte(rest, '"'); j > 0 {
			return string(rest[:j])
		}
	}
	var ev struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}
	if json.Unmarshal(body, &ev) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(ev.Timestamp, &text) == nil {
		return text
	}
	return string(ev.Timestamp)
}

// byDue is a heap of deliveries by when they are due.
type byDue []*delivery

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(x any)        { *h = append(*h, x.(*delivery)) }
func (h *byDue) Pop() any {
	old := *h
	d := old[len(old)-1]
	*h = old[:len(old)-1]
	return d
}
