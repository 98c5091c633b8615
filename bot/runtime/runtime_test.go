package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/inbox"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
)

const testOA = "3612345678901234567"

// parrot is a flow for tests: it says what it heard, counts it, and fails on
// command. A single number is an answer to its question only when it is on time.
type parrot struct{ slow chan struct{} }

func (parrot) Name() string          { return "menu" }
func (parrot) Intents() []bot.Intent { return []bot.Intent{bot.IntentMenu, bot.IntentStop} }

func (p parrot) Begin(_ context.Context, t *bot.Turn, intent bot.Intent) error {
	t.Say(bot.Message{Text: "began " + string(intent)})
	return nil
}

func (p parrot) Act(_ context.Context, t *bot.Turn, action, arg string) error {
	t.Say(bot.Message{Text: "acted " + action + arg})
	return nil
}

func (p parrot) Resume(context.Context, *bot.Turn) error { return bot.ErrNotMine }

func (p parrot) Greet(_ context.Context, t *bot.Turn) error {
	t.Say(bot.Message{Text: "hello"})
	return nil
}

func (p parrot) Fallback(_ context.Context, t *bot.Turn, _ bot.Understanding) error {
	text := t.Text()
	switch {
	case text == "boom":
		panic("boom")
	case text == "fail":
		return errors.New("it fails")
	case text == "ask":
		t.Say(bot.Message{Text: "sure?", Choices: []bot.Choice{{Title: "Yes", Payload: "#menu.confirmed"}}})
		return nil
	case text == "erase":
		t.Do(citizen.Erase{Receipt: "R1"})
		t.Say(bot.Message{Text: "erased"})
		t.Call(bot.Call{Kind: bot.CallForget})
		return nil
	case strings.HasPrefix(text, "slow"):
		<-p.slow
	}
	t.Do(heard{text})
	t.Say(bot.Message{Text: "heard " + text})
	return nil
}

func (p parrot) Recognize(text string) bool { return strings.HasPrefix(text, "CODE") }
func (p parrot) Take(_ context.Context, t *bot.Turn) error {
	t.Say(bot.Message{Text: "code " + t.Text()})
	return nil
}

// heard is the parrot's domain write; two with the same text in one commit make
// the database refuse it.
type heard struct{ Text string }

func (heard) Feature() string { return "heard" }

type heardStore struct{}

func (heardStore) Apply(ctx context.Context, tx pgx.Tx, effects []bot.Applied) error {
	for _, a := range effects {
		text := a.Effect.(heard).Text
		if _, err := tx.Exec(ctx, `INSERT INTO heard (citizen, text) VALUES ($1, $2)`, a.Citizen.User, text); err != nil {
			return err
		}
	}
	return nil
}

// words understands a few fixed phrases.
type words struct{}

func (words) Understand(text string) bot.Understanding {
	switch text {
	case "menu":
		return bot.Understanding{Intent: bot.IntentMenu, Sure: true}
	case "stop":
		return bot.Understanding{Intent: bot.IntentStop, Sure: true}
	}
	return bot.Understanding{Intent: bot.IntentNone}
}

type plainTexts struct{}

func (plainTexts) Text(_, key string, _ map[string]any) string { return key }
func (plainTexts) Moment(_ string, at, _ time.Time) string     { return at.String() }
func (plainTexts) Day(_ string, at time.Time) string           { return at.String() }

// phone collects what reaches people.
type phone struct {
	mu    sync.Mutex
	n     int
	sent  map[string][]string
	calls []string
	got   chan struct{}
}

func (p *phone) Send(_ context.Context, to bot.CitizenID, m bot.Message) (delivery.Receipt, error) {
	p.mu.Lock()
	p.n++
	p.sent[to.User] = append(p.sent[to.User], m.Text)
	n := p.n
	p.mu.Unlock()
	select {
	case p.got <- struct{}{}:
	default:
	}
	return delivery.Receipt{MsgID: fmt.Sprint("z", n), At: time.Now()}, nil
}

func (p *phone) Template(context.Context, bot.CitizenID, bot.Template) (delivery.Receipt, error) {
	return delivery.Receipt{}, errors.New("no templates here")
}

func (p *phone) Do(_ context.Context, to bot.CitizenID, c bot.Call) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, string(c.Kind)+" "+to.User)
	return nil
}

func (p *phone) read(user string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.sent[user]...)
}

// free is a limiter without a limit.
type free struct{}

func (free) Try(_ context.Context, _ delivery.Priority, n int) (int, time.Duration) { return n, 0 }
func (free) Take(context.Context, delivery.Priority) error                          { return nil }
func (free) Throttled()                                                             {}

type noAlerts struct{}

func (noAlerts) Alert(context.Context, pgx.Tx, []bot.Alert) error { return nil }

// bench is a runtime with everything around it.
type rig struct {
	t     *testing.T
	pool  *pgxpool.Pool
	in    *inbox.Inbox
	phone *phone
	slow  chan struct{}
	start time.Time
	seq   int
	stop  func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, pool: pgtest.New(t), phone: &phone{sent: map[string][]string{}, got: make(chan struct{}, 1)},
		slow: make(chan struct{}), start: time.Now().UTC().Add(-time.Minute).Truncate(time.Millisecond)}
	if _, err := r.pool.Exec(t.Context(), `CREATE TABLE heard (citizen text, text text CHECK (text <> 'refused'))`); err != nil {
		t.Fatal(err)
	}
	r.run()
	return r
}

// run starts an instance on the rig's database.
func (r *rig) run() {
	keys := seal.ForTest()
	router, err := NewRouter(words{}, parrot{r.slow})
	if err != nil {
		r.t.Fatal(err)
	}
	wake, wakeUp := Wakes()
	in := inbox.New(r.pool, keys, wakeUp)
	citizens := citizen.NewStore(r.pool, keys)
	out := delivery.New(delivery.Options{Instance: fmt.Sprint("test", time.Now().UnixNano())}, r.pool, keys, r.phone, free{})
	rt := New(Config{
		Now: time.Now, Router: router, Texts: plainTexts{},
		Decode: func(raw []byte, oa string, at time.Time) (bot.Event, bool, error) {
			var e fakeEvent
			if err := json.Unmarshal(raw, &e); err != nil {
				return bot.Event{}, true, err
			}
			return e.event(oa, at), true, nil
		},
		Features: map[string]Feature{"heard": heardStore{}, "citizen": citizens},
		Erasers:  []Eraser{in, out}, Alerter: noAlerts{}, Waiter: push.NewStore(r.pool, keys),
	}, r.pool, r.pool, keys, in, citizens, out, wake, prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { in.Run(ctx) })
	wg.Go(func() { rt.Run(ctx) })
	wg.Go(func() { out.Run(ctx) })
	r.in = in
	r.stop = func() { cancel(); wg.Wait() }
	r.t.Cleanup(func() { r.stop() })
}

// fakeEvent is the body of the rig's events.
type fakeEvent struct {
	ID, User, Text, Kind string
	At                   time.Time
}

func (e fakeEvent) event(oa string, accepted time.Time) bot.Event {
	ev := bot.Event{ID: "user_send:" + e.ID, Name: e.Kind, Citizen: bot.CitizenID{OA: oa, User: e.User},
		SignedAt: e.At, AcceptedAt: accepted}
	switch e.Kind {
	case "staff":
		ev.Body = bot.Sent{MsgID: e.ID, AdminID: "1", Text: e.Text}
	case "follow":
		ev.Body = bot.Followed{}
	default:
		ev.Body = bot.Text{MsgID: e.ID, Text: e.Text}
	}
	return ev
}

// says makes an event signed so many seconds after the rig's start.
func (r *rig) says(user, text string, second int) fakeEvent {
	r.seq++
	return fakeEvent{ID: fmt.Sprint("m", r.seq), User: user, Text: text, Kind: "text", At: r.start.Add(time.Duration(second) * time.Second)}
}

func (r *rig) accept(events ...fakeEvent) {
	r.t.Helper()
	for _, e := range events {
		raw, _ := json.Marshal(e)
		if err := r.in.Accept(r.t.Context(), e.event(testOA, time.Now().UTC()), raw); err != nil {
			r.t.Fatalf("accept: %v", err)
		}
	}
}

// quiet waits until nothing waits.
func (r *rig) quiet() {
	r.t.Helper()
	r.until("nothing waits", func() bool {
		var n int
		err := r.pool.QueryRow(r.t.Context(), `SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM outbox)`).Scan(&n)
		return err == nil && n == 0
	})
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	end := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *rig) want(user string, texts ...string) {
	r.t.Helper()
	r.quiet()
	if got := r.phone.read(user); fmt.Sprint(got) != fmt.Sprint(texts) {
		r.t.Errorf("%s reads %q, want %q", user, got, texts)
	}
}

func (r *rig) count(query string, args ...any) (n int) {
	r.t.Helper()
	if err := r.pool.QueryRow(r.t.Context(), query, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// The answer comes first, and one line says what waits, once.
func TestAnswerSaysWhatWaitsToBeRead(t *testing.T) {
	r := newRig(t)
	if _, err := r.pool.Exec(t.Context(), `INSERT INTO push_person (oa_id, citizen, held) VALUES ($1, '1', 2)`, testOA); err != nil {
		t.Fatal(err)
	}
	r.accept(r.says("1", "hi", 1))
	r.want("1", "heard hi\n\nruntime.waiting")
	r.accept(r.says("1", "again", 2), r.says("2", "hello", 2))
	r.want("1", "heard hi\n\nruntime.waiting", "heard again")
	r.want("2", "heard hello")
}

func TestTurnAnswersAndLeavesNothingBehind(t *testing.T) {
	r := newRig(t)
	r.accept(r.says("1", "hi", 1))
	r.want("1", "heard hi")
	if n := r.count(`SELECT count(*) FROM inbox_claim`); n != 0 {
		t.Errorf("%d claims left", n)
	}
	if n := r.count(`SELECT count(*) FROM heard`); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
}

func TestRepeatedEventHasOneEffect(t *testing.T) {
	r := newRig(t)
	e := r.says("1", "hi", 1)
	r.accept(e, e)
	r.want("1", "heard hi")
	r.accept(e)
	r.want("1", "heard hi")
	if n := r.count(`SELECT count(*) FROM heard`); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
}

func TestWaitingEventsAreTurnedBySignedTime(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.accept2(r.says("1", "c", 3), r.says("1", "a", 1), r.says("1", "b", 2))
	r.run()
	r.want("1", "heard a", "heard b", "heard c")
}

// accept2 accepts while no instance runs.
func (r *rig) accept2(events ...fakeEvent) {
	r.t.Helper()
	in := inbox.New(r.pool, seal.ForTest(), func([]bot.CitizenID) {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { in.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	old := r.in
	r.in = in
	r.accept(events...)
	r.in = old
}

func TestLateEventIsNeverAnAnswer(t *testing.T) {
	r := newRig(t)
	r.accept(r.says("1", "ask", 10))
	r.want("1", "sure?\n\n1. Yes")
	r.accept(r.says("1", "1", 5)) // written before the question was asked
	r.want("1", "sure?\n\n1. Yes")
	r.accept(r.says("1", "CODE 7", 6)) // whole in itself
	r.want("1", "sure?\n\n1. Yes", "code CODE 7")
	r.accept(r.says("1", "stop", 7))
	r.want("1", "sure?\n\n1. Yes", "code CODE 7", "began stop")
	r.accept(r.says("2", "ask", 10), r.says("2", "1", 11))
	r.want("2", "sure?\n\n1. Yes", "acted confirmed")
}

func TestSlowCitizenHoldsUpNobodyElse(t *testing.T) {
	r := newRig(t)
	r.accept(r.says("1", "slow", 1), r.says("1", "after", 2))
	for i := range 20 {
		r.accept(r.says(fmt.Sprint("u", i), "hi", 1))
	}
	r.until("the others are answered", func() bool {
		for i := range 20 {
			if len(r.phone.read(fmt.Sprint("u", i))) == 0 {
				return false
			}
		}
		return true
	})
	if got := r.phone.read("1"); len(got) != 0 {
		t.Fatalf("the slow citizen reads %q too early", got)
	}
	close(r.slow)
	r.want("1", "heard slow", "heard after")
}

func TestPoisonEventIsBuriedAndOthersGoOn(t *testing.T) {
	r := newRig(t)
	r.accept(r.says("1", "boom", 1), r.says("1", "fine", 2), r.says("2", "hi", 1))
	r.want("2", "heard hi")
	r.want("1", "runtime.apology", "heard fine")
	if n := r.count(`SELECT count(*) FROM dead_letter WHERE citizen = '1' AND cause LIKE '%5 times%'`); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

func TestPoisonInASharedCommitIsChargedAlone(t *testing.T) {
	r := newRig(t)
	var events []fakeEvent
	for i := range 30 {
		events = append(events, r.says(fmt.Sprint("u", i), "hi", 1))
	}
	r.accept(append(events, r.says("bad", "refused", 1))...)
	for i := range 30 {
		r.want(fmt.Sprint("u", i), "heard hi")
	}
	r.want("bad", "runtime.apology")
	if n := r.count(`SELECT count(*) FROM dead_letter`); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

func TestUndecodableEventIsBuriedAtOnce(t *testing.T) {
	r := newRig(t)
	e := r.says("1", "x", 1)
	if err := r.in.Accept(t.Context(), e.event(testOA, time.Now().UTC()), []byte("no json")); err != nil {
		t.Fatal(err)
	}
	r.want("1", "runtime.apology")
}

func TestBotKeepsQuietWhileStaffWrite(t *testing.T) {
	r := newRig(t)
	staff := r.says("1", "Chào bác", 2)
	staff.Kind = "staff"
	r.accept(r.says("1", "hi", 1))
	r.quiet()
	staff.At = time.Now().UTC()
	r.accept(staff)
	r.quiet()
	late := r.says("1", "are you there", 3)
	late.At = staff.At.Add(time.Second)
	r.accept(late)
	r.want("1", "heard hi")
	stop := late
	stop.ID, stop.Text, stop.At = "s1", "stop", late.At.Add(time.Second)
	r.accept(stop)
	r.want("1", "heard hi", "began stop")
	menu := late
	menu.ID, menu.Text, menu.At = "s2", "menu", stop.At.Add(time.Second)
	r.accept(menu)
	r.want("1", "heard hi", "began stop", "began menu")
	again := late
	again.ID, again.Text, again.At = "s3", "hello again", menu.At.Add(time.Second)
	r.accept(again)
	r.want("1", "heard hi", "began stop", "began menu", "heard hello again")
}

func TestTwoTapsInTheSameMoment(t *testing.T) {
	r := newRig(t)
	a, b := r.says("1", "#menu.show", 1), r.says("1", "#menu.show", 1)
	r.stop()
	r.accept2(a, b)
	r.run()
	r.want("1", "acted show")
}

func TestFasterThanWeAnswerIsAnsweredTogether(t *testing.T) {
	r := newRig(t)
	r.stop()
	var events []fakeEvent
	for i := range 25 {
		events = append(events, r.says("1", fmt.Sprint("n", i), i))
	}
	r.accept2(append(events, r.says("1", "n25", 25))...)
	r.run()
	r.until("all is turned", func() bool { return r.count(`SELECT count(*) FROM heard WHERE citizen = '1'`) == 26 })
	r.quiet()
	got := r.phone.read("1")
	if len(got) > paceBurst+2 {
		t.Errorf("%d messages for 26 quick ones, want no more than %d", len(got), paceBurst+2)
	}
	if last := got[len(got)-1]; !strings.HasSuffix(last, "heard n25") {
		t.Errorf("the last message ends %q", last)
	}
}

func TestErasureLeavesOnlyHashes(t *testing.T) {
	r := newRig(t)
	r.accept(r.says("1", "hi", 1))
	r.quiet()
	r.accept(r.says("1", "erase", 2))
	r.quiet()
	if got := r.phone.read("1"); len(got) != 2 || got[1] != "erased" {
		t.Fatalf("reads %q, want the receipt last", got)
	}
	r.until("Zalo's copy is deleted", func() bool {
		r.phone.mu.Lock()
		defer r.phone.mu.Unlock()
		return len(r.phone.calls) == 1 && r.phone.calls[0] == "forget 1"
	})
	r.quiet()
	for _, table := range []string{"citizen", "conversation", "history", "consent", "dead_letter", "inbox", "outbox"} {
		if n := r.count(`SELECT count(*) FROM ` + table + ` WHERE citizen = '1'`); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
	before := r.says("1", "signed before", 1)
	r.accept(before)
	r.quiet()
	if n := r.count(`SELECT count(*) FROM citizen WHERE citizen = '1'`); n != 0 {
		t.Error("an event signed before the erasure made the person known again")
	}
	after := r.says("1", "hello again", 0)
	after.At = time.Now().UTC()
	r.accept(after)
	r.until("the new word is answered", func() bool { return len(r.phone.read("1")) == 3 })
}
