package push

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

func TestEveryCopyIsSentOnceAndTheBooksBalanceMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 500, time.Hour)
	run := r.run(Broadcast)
	r.start()
	eventually(t, "the run is finished", func() bool {
		r.books(run)
		finished, _ := r.runs.is(run)
		return finished
	})
	b := r.books(run)
	if b.Audience != 500 || b.Sent != 500 {
		t.Errorf("sent %d of %d, want 500 of 500", b.Sent, b.Audience)
	}
	seen := map[bot.CitizenID]int{}
	for _, c := range r.zalo.all() {
		seen[c.who]++
	}
	for who, n := range seen {
		if n != 1 {
			t.Errorf("%s got %d copies", who.User, n)
		}
	}
	if len(seen) != 500 {
		t.Errorf("%d people got a copy, want 500", len(seen))
	}
}

// Two instances that believe to feed the same account queue a push once.
func TestTwoFeedersSendNothingTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 300, time.Hour)
	run := r.run(Broadcast)
	other := r.feeder("two", r.feed.settings())
	other.lease, r.feed.lease = r.now().Add(time.Hour), r.now().Add(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = other.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	r.start()
	eventually(t, "all is sent", func() bool { return r.books(run).Sent == 300 })
	if n := len(r.zalo.all()); n != 300 {
		t.Errorf("%d messages for 300 people", n)
	}
}

func TestOneInstanceFeedsAnAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := r.feeder("two", r.feed.settings())
	ctx := context.Background()
	if ok, err := r.feed.mine(ctx); err != nil || !ok {
		t.Fatalf("the first feeds: %t, %v", ok, err)
	}
	if ok, err := other.mine(ctx); err != nil || ok {
		t.Fatalf("the second feeds too: %t, %v", ok, err)
	}
	r.exec(`UPDATE push_feed SET until = now() - interval '1 second'`) // the first fell silent
	r.later(2 * time.Second)
	if ok, err := other.mine(ctx); err != nil || !ok {
		t.Fatalf("the second takes over: %t, %v", ok, err)
	}
}

// A server that is stopped leaves the feeding to the next one at once.
func TestStoppedFeederLeavesToOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = r.feed.Run(ctx); close(done) }()
	other := r.feeder("two", r.feed.settings())
	eventually(t, "the first feeds", func() bool {
		var n int
		err := r.pool.QueryRow(ctx, `SELECT count(*) FROM push_feed`).Scan(&n)
		return err == nil && n == 1
	})
	cancel()
	<-done
	if ok, err := other.mine(context.Background()); err != nil || !ok {
		t.Errorf("the second takes over: %t, %v", ok, err)
	}
}

func TestRunStopsWhenItsBudgetIsUsedUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, "budget.package_day", "70")
	r.people(0, 200, 50*time.Hour) // beyond the free window
	run := r.run(Broadcast)
	r.start()
	eventually(t, "the run stops", func() bool { _, why := r.runs.is(run); return why == ReasonBudget })
	eventually(t, "what was handed over is sent", func() bool { return r.books(run).Sent == 70 })
	b := r.books(run)
	if b.Pending != 130 || b.Cost != 70*55 {
		t.Errorf("pending %d, cost %d; want 130, %d", b.Pending, b.Cost, 70*55)
	}
}

// Quota at Zalo: the rung is closed for everybody until midnight.
func TestRunStopsWhenZalosQuotaIsUsedUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.zalo.answer = func(call) error {
		if len(r.zalo.calls) >= 20 {
			return &delivery.Refusal{Class: delivery.ClassQuota, Code: -211}
		}
		return nil
	}
	r.people(0, 300, 50*time.Hour)
	run := r.run(Broadcast)
	r.start()
	eventually(t, "the run stops", func() bool { _, why := r.runs.is(run); return why == ReasonQuota })
	r.settled()
	b := r.books(run)
	if b.Sent != 20 || b.Pending != 280 || b.Failed != 0 {
		t.Errorf("sent %d, pending %d, failed %d; want 20, 280, 0", b.Sent, b.Pending, b.Failed)
	}
	var used int64
	if err := r.pool.QueryRow(context.Background(), `SELECT sum(used) FROM push_budget`).Scan(&used); err != nil || used != 20 {
		t.Errorf("budget used %d (%v), want 20: what was refused is given back", used, err)
	}
	// At midnight the quota begins anew.
	r.zalo.mu.Lock()
	r.zalo.answer = nil
	r.zalo.mu.Unlock()
	r.at(0)
	r.at(7 * 60)
	r.runs.mu.Lock()
	r.runs.active = []Run{{ID: run, OA: testOA, Class: Broadcast, ExpiresAt: r.now().Add(time.Hour)}}
	r.runs.mu.Unlock()
	r.fresh()
	eventually(t, "the rest is sent", func() bool { return r.books(run).Sent == 300 })
}

// What the ladder does for one person, rung by rung, as Zalo refuses.
func TestLadderIsClimbedAsZaloRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, "template.bulletin", "77", "rung.phone", "on")
	r.registered("77")
	r.runs.template = "bulletin"
	r.people(1, 5, time.Hour)
	r.phone(1, "84912345678")
	r.phone(2, "84912345679")
	r.zalo.answer = func(c call) error {
		switch {
		case c.template == nil:
			return &delivery.Refusal{Class: delivery.ClassWindow, Code: -230}
		case c.template.Phone == "" && c.who != person(4):
			return &delivery.Refusal{Class: delivery.ClassDrop, Code: -249}
		case c.who == person(2):
			return &delivery.Refusal{Class: delivery.ClassDrop, Code: -118}
		}
		return nil
	}
	run := r.run(Broadcast)
	r.start()
	eventually(t, "everybody is decided on", func() bool { return r.books(run).Pending == 0 })
	if diff := cmp.Diff([]string{"template 77 84912345678"}, r.zalo.texts(person(1))); diff != "" {
		t.Errorf("by phone: %s", diff)
	}
	if diff := cmp.Diff([]string{"template 77 "}, r.zalo.texts(person(4))); diff != "" {
		t.Errorf("by user id: %s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"sent": 2, "held no_way": 2}, r.rows("source = $1", run)); diff != "" {
		t.Error(diff)
	}
	if b := r.books(run); b.Cost != 210+330 {
		t.Errorf("cost %d, want %d", b.Cost, 210+330)
	}
}

func TestSomebodyWhoBlockedTheAccountIsNotTriedFurther(t *testing.T) {
	t.Parallel()
	r := newRig(t, "template.bulletin", "77")
	r.registered("77")
	r.runs.template = "bulletin"
	r.people(1, 2, time.Hour)
	tries := 0
	r.zalo.answer = func(call) error { tries++; return &delivery.Refusal{Class: delivery.ClassDrop, Code: -217} }
	run := r.run(Broadcast)
	r.start()
	eventually(t, "it failed", func() bool { return r.books(run).Failed == 1 })
	if tries != 1 {
		t.Errorf("%d tries, want 1", tries)
	}
}

// A template that Zalo switched off in the middle closes its rung; the others wait
// for a word.
func TestTemplateSwitchedOffInTheMiddle(t *testing.T) {
	t.Parallel()
	r := newRig(t, "template.bulletin", "77")
	r.registered("77")
	r.runs.template = "bulletin"
	r.people(0, 100, -1) // nobody ever wrote
	r.zalo.answer = func(call) error {
		if len(r.zalo.calls) >= 10 {
			return &delivery.Refusal{Class: delivery.ClassHuman, Code: -146}
		}
		return nil
	}
	run := r.run(Broadcast)
	r.start()
	eventually(t, "everybody is decided on", func() bool { return r.books(run).Pending == 0 })
	b := r.books(run)
	if b.Sent != 10 || b.Held != 90 {
		t.Errorf("sent %d, held %d; want 10, 90", b.Sent, b.Held)
	}
	tariff, err := r.store.Tariff(t.Context(), testOA, r.feed.settings())
	if err != nil {
		t.Fatal(err)
	}
	if each := tariff.Cost(RungTemplate, "bulletin"); each != 210 || b.Cost != 10*int64(each) {
		t.Errorf("%d đồng, want 10 at Zalo's price (%d đồng)", b.Cost, each)
	}
}

func TestCancelledRunLeavesNothingToCome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 50, time.Hour)
	r.people(50, 60, -1)
	run := r.run(Broadcast)
	r.runs.active = nil
	var n int64
	r.tx(func(tx pgx.Tx) (err error) {
		n, err = r.store.Cancel(context.Background(), tx, run, ReasonCancelled, r.now())
		return err
	})
	if b := r.books(run); n != 60 || b.Skipped != 60 || b.Pending != 0 {
		t.Errorf("cancelled %d, skipped %d, pending %d; want 60, 60, 0", n, b.Skipped, b.Pending)
	}
}

// Unknown copies are sent again by a person's decision only.
func TestUnknownCopiesAreResentByDecision(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 3, time.Hour)
	r.zalo.answer = func(c call) error {
		return &delivery.Refusal{Class: delivery.ClassAmbiguous, Err: context.DeadlineExceeded}
	}
	run := r.run(Broadcast)
	r.start()
	eventually(t, "they are unknown", func() bool { return r.books(run).Unknown == 3 })
	who, err := r.store.Unknowns(context.Background(), run, bot.CitizenID{}, 10)
	if err != nil || len(who) != 3 {
		t.Fatalf("listed %v, %v", who, err)
	}
	r.zalo.mu.Lock()
	r.zalo.answer = nil
	r.zalo.mu.Unlock()
	r.tx(func(tx pgx.Tx) error {
		n, err := r.store.Resend(context.Background(), tx, run, who[:2], r.now(), r.now().Add(time.Hour))
		if n != 2 {
			return fmt.Errorf("resent %d, want 2: %w", n, err)
		}
		return err
	})
	r.fresh()
	eventually(t, "they are sent", func() bool { return r.books(run).Sent == 2 })
	if b := r.books(run); b.Unknown != 1 {
		t.Errorf("unknown %d, want 1", b.Unknown)
	}
}

func TestErasedRecipientStaysInTheBooksWithoutTheirName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 3, time.Hour)
	run := r.run(Broadcast)
	r.tx(func(tx pgx.Tx) error { return r.store.EraseCitizen(context.Background(), tx, person(1)) })
	r.start()
	eventually(t, "the others are sent", func() bool { return r.books(run).Sent == 2 })
	b := r.books(run)
	if b.Skipped != 1 || b.Audience != 3 {
		t.Errorf("skipped %d of %d, want 1 of 3", b.Skipped, b.Audience)
	}
	if diff := cmp.Diff(map[string]int64{"skipped erased": 1}, r.rows("citizen LIKE 'erased:%'")); diff != "" {
		t.Error(diff)
	}
	if n := len(r.rows("citizen = $1", person(1).User)); n != 0 {
		t.Error("the person is still named")
	}
}

func TestReceiptsAreCountedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 2, time.Hour)
	run := r.run(Broadcast)
	r.start()
	eventually(t, "they are sent", func() bool { return r.books(run).Sent == 2 })
	for i, c := range r.zalo.all() {
		for range 3 {
			r.exec(`INSERT INTO receipt (oa_id, citizen, at, kind, msg_id) VALUES ($1, $2, $3, 'delivered', $4)`, c.who.OA, c.who.User, r.now(), fmt.Sprint("m", i+1))
		}
	}
	c := r.zalo.all()[0]
	r.exec(`INSERT INTO receipt (oa_id, citizen, at, kind, msg_id) VALUES ($1, $2, $3, 'seen', 'm1')`, c.who.OA, c.who.User, r.now())
	for range 2 {
		if err := r.store.Receipts(context.Background(), r.now()); err != nil {
			t.Fatal(err)
		}
	}
	if b := r.books(run); b.Delivered != 2 || b.Read != 1 {
		t.Errorf("delivered %d, read %d; want 2, 1", b.Delivered, b.Read)
	}
}

// Folding changes no count, whoever reads meanwhile.
func TestFoldingChangesNoCount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(0, 200, time.Hour)
	run := r.run(Broadcast)
	r.start()
	eventually(t, "all is sent", func() bool {
		if err := r.store.Fold(context.Background()); err != nil {
			t.Fatal(err)
		}
		return r.books(run).Sent == 200
	})
	r.exec(`INSERT INTO push_tally (source, kind, state, day, n) SELECT $1, 'broadcast', 'delivered', now()::date, 1 FROM generate_series(1, 100)`, run)
	before := r.books(run)
	if err := r.store.Fold(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.books(run)); diff != "" {
		t.Error(diff)
	}
	var rows int
	if err := r.pool.QueryRow(context.Background(), `SELECT count(*) FROM push_tally`).Scan(&rows); err != nil || rows > 5 {
		t.Errorf("%d rows are left (%v)", rows, err)
	}
}
