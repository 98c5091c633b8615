package push

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

func TestEqualNoticesAreOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	for range 5 {
		r.tell(notice(1, "state 5", "papers are wanted"))
	}
	r.start()
	eventually(t, "it is sent", func() bool { return r.rows("true")["sent"] == 1 })
	r.tell(notice(1, "state 5", "papers are wanted"))
	r.tell(notice(1, "state 9", "the result is there"))
	eventually(t, "the second is sent", func() bool { return r.rows("true")["sent"] == 2 })
	if diff := cmp.Diff([]string{"papers are wanted", "the result is there"}, r.zalo.texts(person(1))); diff != "" {
		t.Error(diff)
	}
}

// A newer notice about the same dossier takes the place of one that still waits.
func TestNewerNoticeTakesTheOldersPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.at(23 * 60)
	about := func(key, text string) Told {
		n := notice(1, key, text)
		n.About = "H42.16-240612-0001"
		return n
	}
	r.tell(about("a", "old"))
	r.tell(about("b", "new"))
	r.start()
	r.at(6*60 + 1)
	eventually(t, "the newer is sent", func() bool { return r.rows("true")["sent"] == 1 })
	if diff := cmp.Diff([]string{"new"}, r.zalo.texts(person(1))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"sent": 1, "skipped superseded": 1}, r.rows("true")); diff != "" {
		t.Error(diff)
	}
}

func TestNothingGoesAtNightButWhatIsUrgent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 3, time.Hour)
	r.at(22 * 60)
	urgent := notice(2, "u", "a storm")
	urgent.Class = Urgent
	r.tell(notice(1, "a", "calm"), urgent)
	r.start()
	eventually(t, "the urgent one is sent", func() bool { return len(r.zalo.texts(person(2))) == 1 })
	if diff := cmp.Diff(map[string]int64{"pending": 1}, r.rows("citizen = $1", person(1).User)); diff != "" {
		t.Error(diff)
	}
	r.at(6 * 60)
	eventually(t, "it goes in the morning", func() bool { return len(r.zalo.texts(person(1))) == 1 })
}

func TestStopEndsWhatWaitsAndWhatComes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.people(2, 3, -1)
	r.at(23 * 60)
	r.tell(notice(1, "a", "one"), notice(2, "a", "held"))
	r.start()
	r.at(7 * 60)
	eventually(t, "one waits for a word", func() bool { return r.rows("true")["held no_way"] == 1 })
	r.do(2, Stop{})
	r.do(1, Stop{})
	r.tell(notice(1, "b", "two"), notice(2, "b", "two"))
	urgent := notice(1, "c", "a storm")
	urgent.Class = Urgent
	r.tell(urgent)
	rows := r.rows("citizen = $1", person(2).User)
	if diff := cmp.Diff(map[string]int64{"skipped stopped": 2}, rows); diff != "" {
		t.Error(diff)
	}
	p, err := r.store.Preferences(context.Background(), person(2))
	if err != nil || p.Held != 0 || p.StoppedAt.IsZero() {
		t.Errorf("preferences %+v, %v", p, err)
	}
	r.do(1, Resume{})
	r.tell(notice(1, "d", "three"))
	eventually(t, "after resuming it goes", func() bool {
		texts := r.zalo.texts(person(1))
		return len(texts) > 0 && texts[len(texts)-1] == "three"
	})
	for _, text := range r.zalo.texts(person(1)) {
		if text == "two" || text == "a storm" {
			t.Errorf("%q was sent to somebody who had stopped everything", text)
		}
	}
}

func TestPausedPeopleHearLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.do(1, Pause{Until: r.now().Add(26 * time.Hour)})
	r.tell(notice(1, "a", "x"))
	r.start()
	eventually(t, "it is put off", func() bool { return r.rows("due_at > $1", r.now().Add(25*time.Hour))["pending"] == 1 })
	r.later(26*time.Hour + time.Minute)
	eventually(t, "it is sent", func() bool { return len(r.zalo.texts(person(1))) == 1 })
}

func TestCeilingsLieBelowEverything(t *testing.T) {
	t.Parallel()
	r := newRig(t, "push.ceiling", "3", "push.ceiling_urgent", "2")
	r.people(1, 3, time.Hour)
	r.do(2, SetDaily{Most: 1})
	for i := range 5 {
		key := string(rune('a' + i))
		u := notice(1, "u"+key, "urgent")
		u.Class = Urgent
		r.tell(notice(1, key, "calm"), u, notice(2, key, "calm"))
	}
	r.start()
	eventually(t, "the rest is put off", func() bool { return r.rows("due_at > $1", r.now())["pending"] == 2+3+4 })
	r.settled()
	if n := len(r.zalo.texts(person(1))); n != 3+2 {
		t.Errorf("%d pushes in a day, want 3 and 2 urgent ones", n)
	}
	if n := len(r.zalo.texts(person(2))); n != 1 {
		t.Errorf("%d pushes in a day, want the person's own number, 1", n)
	}
	r.at(0)
	r.at(8 * 60)
	eventually(t, "the next day goes on", func() bool { return len(r.zalo.texts(person(2))) == 2 })
}

func TestDigestTellsTheDayInOneMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.do(1, SetDigest{At: 18 * 60})
	r.tell(notice(1, "a", "one"))
	r.tell(notice(1, "b", "two"))
	run := r.run(Broadcast)
	r.start()
	eventually(t, "they wait for the hour", func() bool { return r.rows("digest")["pending"] == 3 })
	paused := r.runs.pause()
	r.at(18 * 60)
	eventually(t, "the notices are sent", func() bool { return r.rows("digest")["sent"] == 2 })
	if b := r.books(run); b.Pending != 1 {
		t.Errorf("of a paused broadcast: %+v", b)
	}
	r.runs.resume(paused)
	r.do(1, SetDaily{Most: 0})
	eventually(t, "they are sent", func() bool { return r.rows("digest")["sent"] == 3 })
	if diff := cmp.Diff([]string{"push.digest2\n\none\n\n---\n\ntwo", "run for 0001"}, r.zalo.texts(person(1))); diff != "" {
		t.Error(diff)
	}
	if b := r.books(run); b.Sent != 1 {
		t.Errorf("the copy of the broadcast: %+v", b)
	}
}

func TestHeldNoticesAreReadOnTheNextWord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, 8*24*time.Hour)
	r.tell(notice(1, "a", "one"), notice(1, "b", "two"))
	r.start()
	eventually(t, "they wait for a word", func() bool { return r.rows("true")["held no_way"] == 2 })
	ctx := context.Background()
	waiting := map[bot.CitizenID]int{}
	batch := &pgx.Batch{}
	r.store.QueueWaiting(batch, []bot.CitizenID{person(1), person(2)}, func(m map[bot.CitizenID]int) { waiting = m })
	if err := r.pool.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[bot.CitizenID]int{person(1): 2}, waiting); diff != "" {
		t.Error(diff)
	}
	held, err := (Reader{r.store, r.runs}).Held(ctx, person(1), r.now(), 10)
	if err != nil || len(held) != 2 || held[0].Message.Text != "one" {
		t.Fatalf("held %+v, %v", held, err)
	}
	r.do(1, Read{Sources: []int64{held[0].Source}})
	if p, err := r.store.Preferences(ctx, person(1)); err != nil || p.Held != 1 {
		t.Errorf("%d wait (%v), want 1", p.Held, err)
	}
	// What has expired is skipped, never told.
	r.later(4 * 24 * time.Hour)
	if held, err = (Reader{r.store, r.runs}).Held(ctx, person(1), r.now(), 10); err != nil || len(held) != 0 {
		t.Errorf("told %+v after their time (%v)", held, err)
	}
	if n, err := r.store.Sweep(ctx, r.now()); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
	if diff := cmp.Diff(map[string]int64{"sent": 1, "skipped expired": 1}, r.rows("true")); diff != "" {
		t.Error(diff)
	}
	if p, err := r.store.Preferences(ctx, person(1)); err != nil || p.Held != 0 {
		t.Errorf("%d wait (%v), want none", p.Held, err)
	}
}

func TestNoticesWaitForANewDaysBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t, "budget.package_day", "1")
	r.people(1, 4, 50*time.Hour)
	r.tell(notice(1, "a", "x"), notice(2, "a", "x"))
	r.start()
	eventually(t, "one is put off", func() bool { return r.rows("due_at > $1", r.now())["pending budget"] == 1 })
	eventually(t, "the other goes", func() bool { return r.rows("true")["sent"] == 1 })
	r.at(0)
	r.at(8 * 60)
	eventually(t, "it goes the next day", func() bool { return r.rows("true")["sent"] == 2 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff([]string{ReasonBudget}, r.alarms); diff != "" {
		t.Errorf("alarms, one for the day: %s", diff)
	}
}

func TestErasedPersonLeavesNoNotice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.do(1, SetDaily{Most: 2})
	r.tell(notice(1, "a", "x"))
	r.tx(func(tx pgx.Tx) error { return r.store.EraseCitizen(context.Background(), tx, person(1)) })
	if n := len(r.rows("true")); n != 0 {
		t.Error("a notice is left")
	}
	if p, err := r.store.Preferences(context.Background(), person(1)); err != nil || p.DailyMost != 0 {
		t.Errorf("preferences are left: %+v, %v", p, err)
	}
}

// After a restore nothing that may have gone is sent by itself.
func TestRestoredPushesWaitForAPersonOrAWord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 4, time.Hour)
	r.tell(notice(1, "a", "x"))
	run := r.run(Broadcast)
	r.runs.active = nil
	r.exec(`UPDATE push SET state = 'queued', cost = 0 WHERE source = $1 AND citizen IN ($2, $3)`, run, person(2).User, person(3).User)
	r.exec(`INSERT INTO outbox (oa_id, citizen, id, priority, kind, state, due_at, created_at, expires_at, refs, body)
		SELECT $1, c, 1, 3, 'message', s, now(), now(), now() + interval '1 day', ARRAY[$2::bigint], '\x00'
		FROM (VALUES ($3, 'sending'), ($4, 'pending')) AS v (c, s)`, testOA, run, person(2).User, person(3).User)
	ctx := context.Background()
	if _, err := r.out.MarkAllUnknown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.store.AfterRestore(ctx, r.now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"held restored": 1, "unknown restored": 1, "pending restored": 1, "pending": 1}, r.rows("true")); diff != "" {
		t.Error(diff)
	}
	r.books(run)
}

// Who does not follow a dossier any more hears nothing of it that still waits.
func TestDroppedNoticesAreNotTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.people(1, 2, time.Hour)
	r.at(23 * 60)
	one, other, calm := notice(1, "a", "one"), notice(1, "b", "other"), notice(1, "c", "calm")
	one.Kind, one.About, other.Kind, other.About = "dossier.changed", "A", "dossier.due", "B"
	r.tell(one, other, calm)
	r.do(1, Drop{About: "A"})
	if diff := cmp.Diff(map[string]int64{"skipped withdrawn": 1, "pending": 2}, r.rows("true")); diff != "" {
		t.Error(diff)
	}
	r.do(1, Drop{Kind: "dossier."})
	if diff := cmp.Diff(map[string]int64{"skipped withdrawn": 2, "pending": 1}, r.rows("true")); diff != "" {
		t.Error(diff)
	}
}
