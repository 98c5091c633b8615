// Package runtime turns events: it claims what waits in the inbox, lets a flow
// decide, and commits state, domain writes and outgoing messages together with
// the event's removal, or not at all.
//
// Data flows one way: inbox → turn → outbox. What a flow needs from outside is
// fetched before the transaction, never inside. Turns of different citizens run
// side by side and share commits; one citizen's turns run one after the other.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/group"
	"congdanso/bot/inbox"
	"congdanso/bot/seal"
)

const (
	// mostInHand bounds the citizens an instance turns side by side. Most wait
	// for nothing; the bound is for those whose look-up hangs.
	mostInHand = 1024
	// mostAtOnce is how many citizens one claim asks for.
	mostAtOnce = 128
	claimers   = 2
	// Commits under way at once, and the turns that may share one.
	committers = 2
	mostShared = 128
	// pollEvery is how often the inbox is looked through for what no wake-up
	// told of.
	pollEvery  = time.Second
	renewEvery = 3 * time.Second
	// maxTries is how often an event's turn may fail alone before it is buried.
	maxTries = 5
	// restAway is how long a citizen's events rest when something around us is
	// away.
	restAway = time.Second
)

// Feature applies the effects of its package, all of a shared commit at once.
type Feature interface {
	Apply(ctx context.Context, tx pgx.Tx, effects []bot.Applied) error
}

// Eraser removes what a feature keeps of a citizen.
type Eraser interface {
	EraseCitizen(ctx context.Context, tx pgx.Tx, who bot.CitizenID) error
}

// Alerter tells the operators, in the transaction of the turn.
type Alerter interface {
	Alert(ctx context.Context, tx pgx.Tx, alerts []bot.Alert) error
}

// Waiter knows of whom something waits to be read.
type Waiter interface {
	QueueWaiting(batch *pgx.Batch, who []bot.CitizenID, done func(map[bot.CitizenID]int))
}

// Config is what the runtime is made of.
type Config struct {
	Now    func() time.Time
	Decode func(raw []byte, oa string, acceptedAt time.Time) (ev bot.Event, ours bool, err error)
	Router *Router
	Texts  bot.Texts
	// Features by the name their effects carry.
	Features map[string]Feature
	Erasers  []Eraser
	Alerter  Alerter
	// Waiter, when set, has one line under an answer say what waits to be read.
	Waiter Waiter
}

// Runtime claims, turns and commits.
type Runtime struct {
	cfg      Config
	pool     *pgxpool.Pool
	claims   *pgxpool.Pool // commits asynchronously: see inbox.QueueClaim
	inbox    *inbox.Inbox
	citizens *citizen.Store
	convs    conversations
	outbox   *delivery.Outbox
	router   *Router
	texts    bot.Texts
	features map[string]Feature
	erasers  []Eraser
	alerter  Alerter
	commits  *group.Group[*unit]

	wake  chan bot.CitizenID
	room  chan struct{} // one place a citizen in hand
	mu    sync.Mutex
	hands map[bot.CitizenID]*hand
	turns sync.WaitGroup
	crew  crew

	seconds *prometheus.HistogramVec
	dead    prometheus.Counter
}

// hand is a citizen this instance is busy with.
type hand struct {
	claim *inbox.Claim
	more  bool // something came while the hand was full
}

// New returns a runtime. claims is a pool whose commits need not be durable.
func New(cfg Config, pool, claims *pgxpool.Pool, keys *seal.Keyring, in *inbox.Inbox, citizens *citizen.Store,
	out *delivery.Outbox, wake chan bot.CitizenID, reg prometheus.Registerer) *Runtime {
	r := &Runtime{
		cfg: cfg, pool: pool, claims: claims, inbox: in, citizens: citizens, convs: conversations{keys},
		outbox: out, router: cfg.Router, texts: cfg.Texts, features: cfg.Features, erasers: cfg.Erasers,
		alerter: cfg.Alerter, wake: wake,
		room:  make(chan struct{}, mostInHand),
		hands: map[bot.CitizenID]*hand{},
		crew:  crew{work: make(chan func())},
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "congdanso_turn_seconds",
			Help:    "From the acceptance of an event to the commit of its turn.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}, []string{"flow"}),
		dead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "congdanso_dead_letters_total", Help: "Events that could not be turned and were put aside.",
		}),
	}
	reg.MustRegister(r.seconds, r.dead)
	r.commits = group.New(committers, mostShared, r.commitAll)
	return r
}

// Wakes makes the channel by which an inbox tells its runtime whose events wait,
// and the function to hand to the inbox. A wake-up that finds the channel full is
// dropped: the poll finds the event.
func Wakes() (chan bot.CitizenID, func([]bot.CitizenID)) {
	wake := make(chan bot.CitizenID, 1<<16)
	return wake, func(who []bot.CitizenID) {
		for _, id := range who {
			select {
			case wake <- id:
			default:
			}
		}
	}
}

// Run turns events until ctx ends, then finishes the turns in hand.
func (r *Runtime) Run(ctx context.Context) error {
	commits, stopCommits := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommits()
	var commitsDone sync.WaitGroup
	commitsDone.Go(func() { r.commits.Run(commits) })

	var loops sync.WaitGroup
	for range claimers {
		loops.Go(func() { r.claimLoop(ctx) })
	}
	loops.Go(func() { r.pollLoop(ctx) })
	loops.Go(func() { r.renewLoop(ctx) })
	loops.Wait()
	r.turns.Wait()
	stopCommits()
	commitsDone.Wait()
	return nil
}

// claimLoop takes wake-ups and claims the citizens they name.
func (r *Runtime) claimLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-r.wake:
			who := r.take(nil, id)
			for len(who) < mostAtOnce && len(r.wake) > 0 {
				select {
				case id := <-r.wake:
					who = r.take(who, id)
				default:
				}
			}
			if len(who) > 0 {
				r.claim(ctx, who)
			}
		}
	}
}

// take puts a citizen in hand, unless they are already.
func (r *Runtime) take(who []bot.CitizenID, id bot.CitizenID) []bot.CitizenID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hands[id]; h != nil {
		h.more = true
		return who
	}
	r.hands[id] = &hand{}
	return append(who, id)
}

// drop takes citizens out of hand, and wakes those for whom more came meanwhile.
func (r *Runtime) drop(who ...bot.CitizenID) {
	var again []bot.CitizenID
	r.mu.Lock()
	for _, id := range who {
		if h := r.hands[id]; h != nil && h.more {
			again = append(again, id)
		}
		delete(r.hands, id)
	}
	r.mu.Unlock()
	for _, id := range again {
		r.Wake(id)
	}
}

// Wake tells that events of a citizen wait.
func (r *Runtime) Wake(id bot.CitizenID) {
	select {
	case r.wake <- id:
	default:
	}
}

// claim asks for citizens, reads all that their turns need in the same round
// trip, and starts the turns.
func (r *Runtime) claim(ctx context.Context, who []bot.CitizenID) {
	for i := range who { // a place for each before anything is claimed
		select {
		case r.room <- struct{}{}:
		case <-ctx.Done():
			for range i {
				<-r.room
			}
			r.drop(who...)
			return
		}
	}
	var claims []*inbox.Claim
	var profiles []bot.Citizen
	var records map[bot.CitizenID]record
	sortCitizens(who)
	batch := &pgx.Batch{}
	r.inbox.QueueClaim(batch, who, func(c []*inbox.Claim) { claims = c })
	r.convs.queueLoad(batch, who, func(m map[bot.CitizenID]record) { records = m })
	r.citizens.QueueLoad(batch, who, func(c []bot.Citizen) { profiles = c })
	var waiting map[bot.CitizenID]int
	if r.cfg.Waiter != nil {
		r.cfg.Waiter.QueueWaiting(batch, who, func(m map[bot.CitizenID]int) { waiting = m })
	}
	claimCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnLimit)
	defer cancel()
	if err := r.claims.SendBatch(claimCtx, batch).Close(); err != nil {
		slog.Error("cannot claim", "citizens", len(who), "error", err)
		r.unhand(who)
		return
	}
	known := make(map[bot.CitizenID]*bot.Citizen, len(profiles))
	for i := range profiles {
		known[profiles[i].ID] = &profiles[i]
	}
	had := make(map[bot.CitizenID]bool, len(claims))
	var idle []*inbox.Claim
	var idleWho []bot.CitizenID
	for _, c := range claims {
		had[c.Who] = true
		if len(c.Events) == 0 {
			idle, idleWho = append(idle, c), append(idleWho, c.Who)
			continue
		}
		r.mu.Lock()
		r.hands[c.Who].claim = c
		r.mu.Unlock()
		rec := records[c.Who]
		rec.waiting = waiting[c.Who]
		r.turns.Add(1)
		r.crew.do(func() {
			defer r.turns.Done()
			defer func() { <-r.room }()
			r.turnAll(context.WithoutCancel(ctx), c, known[c.Who], rec)
			r.drop(c.Who)
		})
	}
	var elsewhere []bot.CitizenID
	for _, id := range who {
		if !had[id] {
			elsewhere = append(elsewhere, id)
		}
	}
	r.unhand(elsewhere)
	if len(idle) > 0 {
		if err := r.inbox.Release(claimCtx, idle); err != nil {
			slog.Error("cannot release", "error", err)
		}
		r.unhand(idleWho)
	}
}

func (r *Runtime) unhand(who []bot.CitizenID) {
	for range who {
		<-r.room
	}
	r.drop(who...)
}

// pollLoop walks through the inbox for citizens nobody has claimed: what a
// crash left behind, what another instance accepted, what rested long enough.
func (r *Runtime) pollLoop(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var after bot.CitizenID
	for {
		who, next, err := r.inbox.Unclaimed(ctx, after, 4*mostAtOnce)
		if err != nil && ctx.Err() == nil {
			slog.Error("cannot look for waiting events", "error", err)
		}
		for _, id := range who {
			select {
			case r.wake <- id:
			case <-ctx.Done():
				return
			}
		}
		if after = next; err == nil && !next.IsZero() {
			continue // a long queue is walked through without pausing
		}
		after = bot.CitizenID{}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// renewLoop keeps the claims in hand from lapsing.
func (r *Runtime) renewLoop(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var claims []*inbox.Claim
		r.mu.Lock()
		for _, h := range r.hands {
			if h.claim != nil {
				claims = append(claims, h.claim)
			}
		}
		r.mu.Unlock()
		if len(claims) == 0 {
			continue
		}
		if err := r.inbox.Renew(ctx, claims); err != nil && !errors.Is(err, context.Canceled) {
			slog.Error("cannot renew", "error", err)
		}
	}
}

// bury moves an event that cannot be turned to the dead letters, with an apology
// and the menu for the person when there is one to tell.
func (r *Runtime) bury(ctx context.Context, c *inbox.Claim, w inbox.Waiting, cause error, lang string, rec *record, last bool) error {
	now := r.cfg.Now().UTC()
	items := r.apology(c.Who, lang, rec, now)
	r.outbox.Prepare(ctx, items)
	moved := false
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) (err error) {
		moved, err = r.inbox.Die(ctx, tx, c, w, cause.Error(), now, last)
		if err != nil || !moved || len(items) == 0 {
			return err
		}
		batch := &pgx.Batch{}
		if err := r.outbox.QueueEnqueue(batch, items); err != nil {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil || !moved {
		r.outbox.Withdraw(items)
	}
	if err != nil {
		return fmt.Errorf("bury event: %w", err)
	}
	if moved {
		r.dead.Inc()
		slog.Error("event put aside as a dead letter", "cause", cause)
		r.outbox.Hand(items)
	}
	return nil
}
