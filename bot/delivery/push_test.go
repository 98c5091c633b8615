package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
)

// ledger writes down what it is told.
type ledger struct {
	mu   sync.Mutex
	told []string
}

func (l *ledger) QueueSettled(batch *pgx.Batch, list []Settled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range list {
		told := fmt.Sprint(s.Outcome, " ", s.Refs, " ", s.Rung, " ", s.Class)
		if s.Outcome == Unknown { // it may be told so more than once
			told = fmt.Sprint(s.Outcome, " ", s.Refs, " ", s.Rung)
			if slices.Contains(l.told, told) {
				continue
			}
		}
		l.told = append(l.told, told)
	}
	batch.Queue(`SELECT 1`)
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.told...)
}

func push(n int, text string) Item {
	it := notice(n, text)
	it.Refs, it.Rung = []int64{int64(100 + n)}, "free"
	return it
}

// pushes is an instance with a ledger.
func (r *rig) pushes() (*instance, *ledger) {
	l := &ledger{}
	opt := quick()
	opt.Ledger = l
	return r.instance(opt).start(), l
}

// feed hands pushes over as the feeder does, and returns how many had a place.
func (r *rig) feed(in *instance, items ...Item) int {
	r.t.Helper()
	ctx := context.Background()
	got, _ := in.Reserve(ctx, Notice, len(items))
	defer got.Return()
	n := got.N
	got.Assign(items)
	if err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error { return in.Enqueue(ctx, tx, items) }); err != nil {
		r.t.Fatalf("enqueue: %v", err)
	}
	in.Hand(items)
	return n
}

func TestPushGoesWithoutAnotherStatementAndSettlesItsBooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, l := r.pushes()
	if n := r.feed(in, push(1, "one"), push(2, "two")); n != 2 {
		t.Fatalf("%d of 2 pushes had a place", n)
	}
	r.empty()
	if diff := cmp.Diff(map[string]bool{"sent [101] free ": true, "sent [102] free ": true}, set(l.all())); diff != "" {
		t.Error(diff)
	}
	if n := in.places.inAir(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}

// What Zalo refuses is the ledger's again, whatever the reason; a reply would wait or
// be held.
func TestRefusedPushIsItsLedgersAgain(t *testing.T) {
	t.Parallel()
	for class, want := range map[Class]string{
		ClassWindow: "failed [101] free window",
		ClassQuota:  "failed [101] free quota",
		ClassNight:  "failed [101] free night",
		ClassDrop:   "failed [101] free drop",
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.zalo.answer = func(sent) error { return &Refusal{Class: class, Code: -230} }
			in, l := r.pushes()
			r.feed(in, push(1, "x"))
			r.empty()
			if diff := cmp.Diff([]string{want}, l.all()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTemplateThatZaloSwitchedOffLeavesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.zalo.answer = func(sent) error { return &Refusal{Class: ClassHuman, Code: -146} }
	in, l := r.pushes()
	item := func(n int) Item {
		return Item{To: person(n), Priority: Notice, Template: &bot.Template{ID: "7"}, Refs: []int64{int64(100 + n)}, Rung: "template"}
	}
	r.feed(in, item(1))
	r.empty()
	r.feed(in, item(2)) // while templates rest
	r.empty()
	if diff := cmp.Diff([]string{"failed [101] template human", "failed [102] template human"}, l.all()); diff != "" {
		t.Error(diff)
	}
	if n := r.zalo.calls(); n != 1 {
		t.Errorf("%d calls, want 1: the second is not tried while templates rest", n)
	}
}

// A push too late for its hour goes back to its ledger without a call.
func TestPushPastItsHourIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, l := r.pushes()
	late := push(1, "x")
	late.NotAfter = time.Now().Add(-time.Second)
	r.leave(in, late)
	r.empty()
	if diff := cmp.Diff([]string{"failed [101] free window"}, l.all()); diff != "" {
		t.Error(diff)
	}
	if n := r.zalo.calls(); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestCutOffPushIsUnknownAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		note func(s sent) bot.Event
	}{
		{"an echo settles it", echo},
		{"a receipt of a message nobody else claims settles it", func(s sent) bot.Event {
			return bot.Event{Citizen: s.who, SignedAt: s.at, Body: bot.Delivered{MsgID: s.id, At: s.at}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.zalo.lose = func(sent) bool { return true }
			in, l := r.pushes()
			r.feed(in, push(1, "x"))
			eventually(t, "it is unknown", func() bool { return len(l.all()) == 1 })
			in.moments(30)
			if n := r.zalo.calls(); n != 1 {
				t.Fatalf("%d calls, want 1", n)
			}
			in.Note(c.note(r.zalo.last()))
			r.empty()
			if diff := cmp.Diff([]string{"unknown [101] free", "sent [101] free "}, l.all()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A receipt of what staff wrote proves nothing of a push.
func TestReceiptOfStaffsMessageSettlesNoPush(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.zalo.lose = func(sent) bool { return true }
	in, l := r.pushes()
	r.feed(in, push(1, "x"))
	eventually(t, "it is unknown", func() bool { return len(l.all()) == 1 })
	err := pgx.BeginFunc(context.Background(), r.pool, func(tx pgx.Tx) error {
		return in.InsertIncoming(context.Background(), tx, []Incoming{{From: person(1), At: time.Now(), MsgID: "staff", Text: "[staff] hello"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Note(bot.Event{Citizen: person(1), SignedAt: time.Now(), Body: bot.Delivered{MsgID: "staff", At: time.Now()}})
	in.moments(30)
	if diff := cmp.Diff([]string{"unknown"}, r.states()); diff != "" {
		t.Error(diff)
	}
}

func TestPushesRestAfterFiveCallsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	clock := time.Now()
	var mu sync.Mutex
	broken := true
	r.zalo.lose = func(sent) bool { mu.Lock(); defer mu.Unlock(); return broken }
	l := &ledger{}
	opt := quick()
	opt.Ledger = l
	opt.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	in := r.instance(opt).start()
	sent := 0
	for n := 1; n <= 20 && in.PushesRest().IsZero(); n++ {
		sent += r.feed(in, push(n, "x"))
		eventually(t, "its fate is told", func() bool { return len(l.all()) == sent })
	}
	if sent != unansweredMost {
		t.Fatalf("%d pushes went before they rested, want %d", sent, unansweredMost)
	}
	if rest := gauge(t, in, "congdanso_pushes_rest"); rest != 1 {
		t.Errorf("congdanso_pushes_rest is %v while pushes rest", rest)
	}
	if got, _ := in.Reserve(context.Background(), Notice, 8); got.N != 0 {
		t.Fatalf("%d places while pushes rest", got.N)
	}
	// A reply goes all the same.
	r.zalo.mu.Lock()
	r.zalo.lose = nil
	r.zalo.mu.Unlock()
	r.decide(in, reply(99, "an answer"))
	eventually(t, "the reply is sent", func() bool { return len(r.zalo.texts(person(99))) == 1 })
	// A minute later one tries, and lets the others go.
	mu.Lock()
	clock = clock.Add(probeEvery + time.Second)
	mu.Unlock()
	got, _ := in.Reserve(context.Background(), Notice, 8)
	if got.N != 1 {
		t.Fatalf("%d places for the trial, want 1", got.N)
	}
	items := []Item{push(50, "x")}
	got.Assign(items)
	if err := pgx.BeginFunc(context.Background(), r.pool, func(tx pgx.Tx) error { return in.Enqueue(context.Background(), tx, items) }); err != nil {
		t.Fatal(err)
	}
	in.Hand(items)
	eventually(t, "pushes go again", func() bool { return in.PushesRest().IsZero() })
	if rest := gauge(t, in, "congdanso_pushes_rest"); rest != 0 {
		t.Errorf("congdanso_pushes_rest is %v while pushes go", rest)
	}
}

// gauge is a figure without labels, as operators see it.
func gauge(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no figure %s", name)
	return 0
}

func TestPushesLeavePlacesForReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.zalo.hold = make(chan struct{})
	in, _ := r.pushes()
	items := make([]Item, 100)
	for i := range items {
		items[i] = push(i, "x")
	}
	n := r.feed(in, items...)
	if want := in.opt.Places - keptForReplies; n != want {
		t.Errorf("%d pushes in the air, want %d", n, want)
	}
	r.decide(in, reply(500, "an answer"))
	eventually(t, "the reply is in the air", func() bool { return in.places.inAir() > n })
	close(r.zalo.hold)
	r.empty()
}

func TestStoppedPushesAreTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, l := r.pushes()
	in.Pause(true)
	r.leave(in, push(1, "a"), push(1, "b"), push(2, "c"))
	ctx := context.Background()
	var refs []int64
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) (err error) {
		refs, err = CancelPushes(ctx, tx, person(1))
		return err
	})
	if err != nil || len(refs) != 2 {
		t.Fatalf("taken back %v, %v; want two", refs, err)
	}
	in.Pause(false)
	r.empty()
	if diff := cmp.Diff([]string{"sent [102] free "}, l.all()); diff != "" {
		t.Error(diff)
	}
}

// A transaction that fails gives its places back.
func TestReservedPlacesComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, _ := r.pushes()
	ctx := context.Background()
	items := []Item{push(1, "a")}
	got, _ := in.Reserve(ctx, Notice, 5)
	got.Assign(items)
	got.Return()
	in.Withdraw(items)
	if n := in.places.inAir(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}
