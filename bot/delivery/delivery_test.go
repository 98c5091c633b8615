package delivery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

func wantTexts(t testing.TB, r *rig, n int, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.zalo.texts(person(n))); diff != "" {
		t.Errorf("person %d read (-want +got):\n%s", n, diff)
	}
}

func wantOutcomes(t testing.TB, r *rig, n int, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.outcomes(n)); diff != "" {
		t.Errorf("history of person %d (-want +got):\n%s", n, diff)
	}
}

func TestReplyGoesOutWithItsTurn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.hold = make(chan struct{})
	r.decide(in, reply(1, "số 036099001234"), Item{To: person(1), Priority: Reply, Call: &bot.Call{Kind: bot.CallTag, Tag: "a"}})
	eventually(t, "the call is in the air", func() bool { r.zalo.mu.Lock(); defer r.zalo.mu.Unlock(); return r.zalo.now == 1 })
	if diff := cmp.Diff([]string{"sending", "claimed"}, r.states()); diff != "" {
		t.Errorf("rows of the turn: %s", diff)
	}
	close(r.zalo.hold)
	r.empty()
	wantTexts(t, r, 1, "số 036099001234", "tag a")
	said, err := in.History(t.Context(), person(1), time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range said {
		said[i].At = time.Time{}
	}
	if diff := cmp.Diff([]Said{{Outgoing: true, Text: "số ************", Outcome: "sent"}}, said); diff != "" {
		t.Errorf("history: %s", diff)
	}
	if got := in.Stats(); got.InAir != 0 || got.Waiting != [Priorities]int{} {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestAnythingCommittedIsFoundByPolling(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.leave(in, reply(1, "a"), notice(2, "b"), Item{To: person(3), Priority: Broadcast, Message: &bot.Message{Text: "c"}, NotBefore: time.Now().Add(150 * time.Millisecond)})
	r.empty()
	wantTexts(t, r, 1, "a")
	wantTexts(t, r, 2, "b")
	wantTexts(t, r, 3, "c")
}

func TestAFailedTurnGivesBackItsPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	items := []Item{reply(1, "a"), reply(2, "b")}
	in.Prepare(t.Context(), items)
	if got := in.Stats().InAir; got != 2 {
		t.Fatalf("%d places reserved, want 2", got)
	}
	in.Withdraw(items)
	in.Withdraw(items)
	if got := in.Stats().InAir; got != 0 {
		t.Fatalf("%d places taken after the turn failed", got)
	}
	forgotten := []Item{reply(3, "c")}
	in.Prepare(t.Context(), forgotten)
	eventually(t, "a forgotten place comes back", func() bool { return in.Stats().InAir == 0 })
	in.Hand(forgotten) // too late
	in.moments(3)
	if r.zalo.calls() != 0 {
		t.Error("something was sent that never was committed")
	}
}

func TestOneCitizenOneCallRepliesFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	in.limiter.shut.Store(true)
	r.leave(in, notice(1, "n1"), notice(1, "n2"))
	r.decide(in, reply(1, "r1"))
	r.decide(in, reply(1, "r2"))
	in.moments(3)
	in.limiter.shut.Store(false)
	r.empty()
	wantTexts(t, r, 1, "r1", "r2", "n1", "n2")
}

func TestNoMoreCallsInTheAirThanPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opt := quick()
	opt.Places = 8
	in := r.instance(opt).start()
	var items []Item
	for n := range 100 {
		items = append(items, reply(n, "x"))
	}
	r.decide(in, items...)
	r.empty()
	if r.zalo.high > 8 {
		t.Errorf("%d calls in the air", r.zalo.high)
	}
	if got := r.zalo.calls(); got != 100 {
		t.Errorf("%d calls, want 100", got)
	}
}

func TestAmbiguousReplyIsResolvedByItsEcho(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.lose = func(sent) bool { return true }
	r.decide(in, reply(1, "Chào bạn"))
	eventually(t, "it was taken", func() bool { return r.zalo.calls() == 1 })
	in.Note(echo(r.zalo.last()))
	r.empty()
	in.moments(3)
	wantTexts(t, r, 1, "Chào bạn")
	wantOutcomes(t, r, 1, "sent")
}

func TestAmbiguousReplyWithoutEchoIsSentOnceMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.lose = func(sent) bool { return true }
	r.decide(in, reply(1, "a"))
	began := time.Now()
	r.empty()
	wantTexts(t, r, 1, "a", "a")
	wantOutcomes(t, r, 1, "unknown")
	if took := time.Since(began); took < 2*quick().EchoWait {
		t.Errorf("given up after %v: the echo was not waited for", took)
	}
	// Other replies waited for it, and go on.
	r.zalo.lose = nil
	r.decide(in, reply(1, "b"))
	r.empty()
	wantTexts(t, r, 1, "a", "a", "b")
}

func TestOnlyTheRightEchoCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	// The same words, sent just before and answered: its echo is claimed.
	r.decide(in, reply(1, "a"))
	r.empty()
	first := r.zalo.last()
	lost := 0
	r.zalo.lose = func(sent) bool { lost++; return lost == 1 }
	r.decide(in, reply(1, "a"))
	eventually(t, "it was taken", func() bool { return r.zalo.calls() == 2 })
	e := echo(first)
	e.SignedAt = r.zalo.last().at
	in.notes.claims = map[string]bool{} // another instance, which never saw the answer, hears it
	in.Note(e)
	staff := echo(r.zalo.last())
	staff.Body = bot.Sent{MsgID: "s1", AdminID: "7", Text: "a"}
	in.Note(staff)
	other := echo(r.zalo.last())
	other.Body = bot.Sent{MsgID: "s2", Text: "b"}
	in.Note(other)
	stranger := echo(r.zalo.last())
	stranger.Citizen = person(2)
	in.Note(stranger)
	early := echo(r.zalo.last())
	early.SignedAt = early.SignedAt.Add(-time.Minute)
	in.Note(early)
	r.empty()
	wantTexts(t, r, 1, "a", "a", "a")
}

func TestAmbiguousNoticeIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.lose = func(s sent) bool { return s.text == "n" }
	r.leave(in, notice(1, "n"), notice(1, "m"))
	if a := <-in.alarms; a.Kind != "unknown" {
		t.Errorf("alarm %+v", a)
	}
	eventually(t, "the next one goes on", func() bool { return len(r.zalo.texts(person(1))) == 2 })
	in.moments(30)
	wantTexts(t, r, 1, "n", "m")
	if diff := cmp.Diff([]string{"unknown"}, r.states()); diff != "" {
		t.Error(diff)
	}
	// Its echo may come late.
	lost := r.zalo.took[0]
	in.Note(echo(lost))
	r.empty()
	wantTexts(t, r, 1, "n", "m")
	if got := r.outcomes(1); len(got) != 2 || got[0] != "sent" || got[1] != "sent" {
		t.Errorf("history: %v", got)
	}
}

func TestErasedCitizenGetsNothingMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	in.limiter.shut.Store(true)
	r.decide(in, reply(1, "old 0912345678"))
	r.decide(in, reply(2, "other"))
	in.moments(2)
	in.Note(bot.Event{Citizen: person(1), SignedAt: time.Now(), Body: bot.Delivered{MsgID: "m", At: time.Now()}})
	receipt := reply(1, "erased")
	receipt.NoHistory = true
	items := []Item{receipt, {To: person(1), Priority: Reply, Call: &bot.Call{Kind: bot.CallForget}}}
	ctx := t.Context()
	in.Prepare(ctx, items)
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if err := in.EraseCitizen(ctx, tx, person(1)); err != nil {
			return err
		}
		return in.Enqueue(ctx, tx, items)
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Hand(items)
	in.limiter.shut.Store(false)
	r.empty()
	wantTexts(t, r, 1, "erased", "forget ")
	wantTexts(t, r, 2, "other")
	last := r.zalo.took[slices.IndexFunc(r.zalo.took, func(s sent) bool { return s.text == "erased" })]
	in.Note(echo(last))
	in.Note(bot.Event{Citizen: person(1), SignedAt: time.Now(), Body: bot.Seen{MsgIDs: []string{last.id}}})
	if err := in.flushNotes(ctx); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := r.pool.QueryRow(ctx, `
SELECT (SELECT count(*) FROM history WHERE citizen = $1) + (SELECT count(*) FROM receipt WHERE citizen = $1)`, person(1).User).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("%d rows are left of an erased person", left)
	}
}

func TestErasedInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.hold = make(chan struct{})
	r.decide(in, reply(1, "in the air"))
	eventually(t, "the call is in the air", func() bool { r.zalo.mu.Lock(); defer r.zalo.mu.Unlock(); return r.zalo.now == 1 })
	ctx := t.Context()
	if err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error { return in.EraseCitizen(ctx, tx, person(1)) }); err != nil {
		t.Fatal(err)
	}
	close(r.zalo.hold)
	eventually(t, "it landed", func() bool { return in.Stats().InAir == 0 })
	if got := r.outcomes(1); len(got) != 0 {
		t.Errorf("history of an erased person: %v", got)
	}
}

func TestPausedKeepsEverything(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	in.Pause(true)
	r.decide(in, reply(1, "a"))
	r.leave(in, notice(2, "b"))
	in.moments(5)
	if r.zalo.calls() != 0 {
		t.Fatal("sent while paused")
	}
	if s := in.Stats(); !s.Paused || s.Oldest[Reply] <= 0 {
		t.Errorf("stats while paused: %+v", s)
	}
	in.Pause(false)
	r.empty()
	wantTexts(t, r, 1, "a")
	wantTexts(t, r, 2, "b")
}

func TestStoppingGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.run()
	a.limiter.shut.Store(true)
	for n := range 20 {
		r.decide(a, reply(n, "x"))
	}
	a.stop()
	for _, s := range r.states() {
		if s != statePending {
			t.Fatalf("a row is left %s", s)
		}
	}
	r.run()
	r.empty()
	if got := r.zalo.calls(); got != 20 {
		t.Errorf("%d calls, want 20", got)
	}
}

func TestUndeliveredRepliesAreDroppedInTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opt := quick()
	opt.ReplyLife = 200 * time.Millisecond
	in := r.instance(opt).start()
	r.zalo.answer = func(sent) error { return &Refusal{Class: ClassNotSent} }
	r.decide(in, reply(1, "a"))
	r.empty()
	wantOutcomes(t, r, 1, "dropped expired")
}

func TestWhenCrowdedTheBotSaysLess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	opt := quick()
	opt.Crowded = time.Nanosecond
	in := r.instance(opt).start()
	in.limiter.shut.Store(true)
	say := func(n int, text string, kind bot.Kind, about string) {
		r.decide(in, Item{To: person(n), Priority: Reply, Message: &bot.Message{Text: text, Kind: kind, About: about}})
	}
	say(1, "menu", bot.KindMenu, "")
	say(1, "answer", bot.KindAnswer, "")
	say(2, "fallback", bot.KindFallback, "")
	say(3, "old status", bot.KindStatus, "d1")
	say(3, "status of another", bot.KindStatus, "d2")
	say(3, "new status", bot.KindStatus, "d1")
	in.moments(2)
	in.limiter.shut.Store(false)
	r.empty()
	wantTexts(t, r, 1, "answer")
	wantTexts(t, r, 2)
	wantTexts(t, r, 3, "status of another", "new status")
	wantOutcomes(t, r, 2, "dropped crowded")
}

func TestOutsideZalosWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	r.zalo.answer = func(s sent) error {
		if s.text == "early" {
			return &Refusal{Class: ClassWindow, Code: -230}
		}
		return nil
	}
	late := reply(1, "late")
	late.InReplyAt = time.Now().Add(-8 * 24 * time.Hour)
	r.decide(in, late, reply(2, "early"))
	known := notice(3, "known to be late")
	known.InReplyAt = late.InReplyAt
	r.leave(in, known, notice(4, "early"))
	r.empty()
	for n := 1; n <= 4; n++ {
		wantOutcomes(t, r, n, "failed window")
	}
	if got := r.zalo.calls(); got != 2 {
		t.Errorf("%d calls, want 2: what is known to be late costs none", got)
	}
}

func TestTwoHundredCitizensAtOnceShareCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.run()
	var items []Item
	for n := range 200 {
		for i := range 3 {
			items = append(items, reply(n, fmt.Sprint(i)))
		}
	}
	r.decide(in, items...)
	r.empty()
	for n := range 200 {
		wantTexts(t, r, n, "0", "1", "2")
	}
}

func TestIncomingIsMaskedAndSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.instance(quick())
	ctx := t.Context()
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		return in.InsertIncoming(ctx, tx, []Incoming{{From: person(1), At: time.Now(), MsgID: "m1", Text: "số tôi 0912 345 678"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	said, err := in.History(ctx, person(1), time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || said[0].Outgoing || said[0].Text != "số tôi **** *** ***" {
		t.Errorf("history: %+v", said)
	}
}

func TestTidyKeepsWhatIsYoung(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.instance(quick())
	ctx := t.Context()
	now := time.Now().UTC()
	for _, age := range []time.Duration{0, 80 * 24 * time.Hour, 120 * 24 * time.Hour} {
		if err := in.Tidy(ctx, now.Add(-age)); err != nil { // as it ran back then
			t.Fatal(err)
		}
		for table, column := range map[string]string{"history": "outgoing", "receipt": "msg_id"} {
			value := map[string]string{"history": "false", "receipt": "''"}[table]
			_, err := r.pool.Exec(ctx, fmt.Sprintf(`INSERT INTO %s (oa_id, citizen, at, kind, %s) VALUES ('1', '2', $1, 'x', %s)`, table, column, value), now.Add(-age))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := in.Tidy(ctx, now); err != nil {
		t.Fatal(err)
	}
	var texts, receipts, inDefault int
	err := r.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM receipt),
		(SELECT count(*) FROM history_default) + (SELECT count(*) FROM receipt_default)`).Scan(&texts, &receipts, &inDefault)
	if err != nil {
		t.Fatal(err)
	}
	if texts != 2 || receipts != 1 || inDefault != 0 {
		t.Errorf("%d texts, %d receipts kept, %d of them outside a partition; want 2, 1, 0", texts, receipts, inDefault)
	}
}
