package delivery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
)

const testOA = "3612345678901234567"

func person(n int) bot.CitizenID {
	return bot.CitizenID{OA: testOA, User: fmt.Sprint(2512345678900000000 + n)}
}

// sent is a call that reached the fake Zalo.
type sent struct {
	who  bot.CitizenID
	text string // of the message, or the call's kind
	id   string // the message id it gave, when it took the message
	at   time.Time
}

// fakeZalo records calls and answers as answer says.
type fakeZalo struct {
	t      testing.TB
	answer func(sent) error // nil takes everything
	lose   func(sent) bool  // taken, but the answer is cut off
	// hold, when set, keeps calls in the air until it is closed.
	hold chan struct{}
	// latency is how long Zalo takes to answer.
	latency time.Duration

	mu   sync.Mutex
	all  []sent // every call
	took []sent // what reached people
	air  map[bot.CitizenID]int
	high int // most calls in the air
	now  int
}

func (z *fakeZalo) call(ctx context.Context, s sent) (Receipt, error) {
	z.mu.Lock()
	if z.air == nil {
		z.air = map[bot.CitizenID]int{}
	}
	if z.air[s.who]++; z.air[s.who] > 1 {
		z.t.Errorf("two calls in the air for %s", s.who.User)
	}
	z.now++
	z.high = max(z.high, z.now)
	z.mu.Unlock()
	if z.hold != nil {
		select {
		case <-z.hold:
		case <-ctx.Done():
		}
	}
	if z.latency > 0 {
		<-time.After(z.latency)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.air[s.who]--
	z.now--
	s.at = time.Now()
	z.all = append(z.all, s)
	if z.answer != nil {
		if err := z.answer(s); err != nil {
			return Receipt{}, err
		}
	}
	s.id = fmt.Sprintf("msg%d", len(z.all))
	z.took = append(z.took, s)
	if z.lose != nil && z.lose(s) {
		return Receipt{}, &Refusal{Class: ClassAmbiguous, Err: context.DeadlineExceeded}
	}
	return Receipt{MsgID: s.id, At: s.at}, nil
}

func (z *fakeZalo) Send(ctx context.Context, to bot.CitizenID, m bot.Message) (Receipt, error) {
	return z.call(ctx, sent{who: to, text: m.Text})
}

func (z *fakeZalo) Template(ctx context.Context, to bot.CitizenID, t bot.Template) (Receipt, error) {
	return z.call(ctx, sent{who: to, text: "template " + t.ID})
}

func (z *fakeZalo) Do(ctx context.Context, to bot.CitizenID, c bot.Call) error {
	_, err := z.call(ctx, sent{who: to, text: string(c.Kind) + " " + c.Tag})
	return err
}

// texts is what reached a person, in order.
func (z *fakeZalo) texts(who bot.CitizenID) []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	var list []string
	for _, s := range z.took {
		if s.who == who {
			list = append(list, s.text)
		}
	}
	return list
}

func (z *fakeZalo) calls() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.all)
}

func (z *fakeZalo) last() sent {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.took[len(z.took)-1]
}

// fakeLimiter gives slots while it is open.
type fakeLimiter struct {
	shut      atomic.Bool
	throttled atomic.Int64
}

func (l *fakeLimiter) Try(_ context.Context, _ Priority, n int) (int, time.Duration) {
	if l.shut.Load() {
		return 0, time.Millisecond
	}
	return n, 0
}

func (l *fakeLimiter) Take(ctx context.Context, p Priority) error {
	for {
		if n, _ := l.Try(ctx, p, 1); n == 1 {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *fakeLimiter) Throttled() { l.throttled.Add(1) }

// rig is a database and the instances on it.
type rig struct {
	t    testing.TB
	pool *pgxpool.Pool
	zalo *fakeZalo
	n    int
}

func newRig(t testing.TB) *rig {
	return &rig{t: t, pool: pgtest.New(t), zalo: &fakeZalo{t: t}}
}

// quick are options with which a test need not wait long: all pauses are short,
// but in the proportions of the real ones.
func quick() Options {
	return Options{
		Lease: 1500 * time.Millisecond, CallLimit: time.Second, EchoWait: 300 * time.Millisecond, BlockFor: 600 * time.Millisecond,
		Poll: 20 * time.Millisecond, Backoff: 10 * time.Millisecond, HumanPause: 100 * time.Millisecond,
	}
}

// instance is an outbox under test.
type instance struct {
	*Outbox
	limiter *fakeLimiter
	alarms  chan Alarm
	cancel  context.CancelFunc
	done    chan struct{}
	t       testing.TB
}

func (r *rig) instance(opt Options) *instance {
	r.n++
	opt.Instance = fmt.Sprint("i", r.n)
	in := &instance{limiter: &fakeLimiter{}, alarms: make(chan Alarm, 1000), done: make(chan struct{}), t: r.t}
	opt.Alarm = func(a Alarm) { in.alarms <- a }
	in.Outbox = New(opt, r.pool, seal.ForTest(), r.zalo, in.limiter)
	return in
}

// start runs an instance until the test ends.
func (in *instance) start() *instance {
	ctx, cancel := context.WithCancel(context.Background())
	in.cancel = cancel
	go func() {
		if err := in.Run(ctx); err != nil {
			in.t.Errorf("run: %v", err)
		}
		close(in.done)
	}()
	in.t.Cleanup(in.stop)
	eventually(in.t, "the instance runs", in.running.Load)
	return in
}

func (in *instance) stop() { in.cancel(); <-in.done }

// run makes and starts an instance with quick options.
func (r *rig) run() *instance { return r.instance(quick()).start() }

// decide commits items as a turn would, and hands them over.
func (r *rig) decide(in *instance, items ...Item) {
	r.t.Helper()
	ctx := context.Background()
	in.Prepare(ctx, items)
	if err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error { return in.Enqueue(ctx, tx, items) }); err != nil {
		r.t.Fatalf("enqueue: %v", err)
	}
	in.Hand(items)
}

// leave commits items for anybody to take.
func (r *rig) leave(in *instance, items ...Item) {
	r.t.Helper()
	ctx := context.Background()
	if err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error { return in.Enqueue(ctx, tx, items) }); err != nil {
		r.t.Fatalf("enqueue: %v", err)
	}
}

func reply(n int, text string) Item {
	return Item{To: person(n), Priority: Reply, Message: &bot.Message{Text: text}, InReplyAt: time.Now()}
}

func notice(n int, text string) Item {
	return Item{To: person(n), Priority: Notice, Message: &bot.Message{Text: text}}
}

// states lists the rows left in the outbox, e.g. "unknown".
func (r *rig) states() []string {
	r.t.Helper()
	rows, err := r.pool.Query(context.Background(), `SELECT state FROM outbox ORDER BY oa_id, citizen, id`)
	if err != nil {
		r.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) empty() {
	r.t.Helper()
	eventually(r.t, "the outbox is empty", func() bool { return len(r.states()) == 0 })
}

// outcomes lists what history says became of a person's messages.
func (r *rig) outcomes(n int) []string {
	r.t.Helper()
	rows, err := r.pool.Query(context.Background(), `
SELECT outcome || coalesce(' ' || cause, '') FROM history WHERE oa_id = $1 AND citizen = $2 AND outgoing ORDER BY at`, testOA, person(n).User)
	if err != nil {
		r.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// echo is the event by which Zalo tells what we sent.
func echo(s sent) bot.Event {
	return bot.Event{Citizen: s.who, SignedAt: s.at, Body: bot.Sent{MsgID: s.id, Kind: "text", Text: s.text}}
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// moments lets several polls of an instance pass.
func (in *instance) moments(n int) {
	in.t.Helper()
	for range n {
		before := in.polls.Load()
		eventually(in.t, "a poll", func() bool { return in.polls.Load() > before })
	}
}
