package broadcast_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/push"
)

// sliced is how many people these tests freeze at once.
const sliced = 1000

// broken makes the freezing fail at one person, as a database does that goes away.
func (o *office) broken(citizen string) {
	o.exec(`
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gone away';
END $$`)
	o.exec(`CREATE TRIGGER broken BEFORE INSERT ON push FOR EACH ROW WHEN (NEW.citizen = '` + citizen + `') EXECUTE FUNCTION broken()`)
}

func TestFreezeGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Slice(sliced)
	n := 2*sliced + 50
	o.people(n)
	id := o.approved(sample())
	o.broken("c0001500") // in the second of three slices
	if err := o.Tick(t.Context(), morning); err == nil || !strings.Contains(err.Error(), "gone away") {
		t.Fatalf("tick = %v, want the failure told", err)
	}
	o.wants(id, broadcast.Running, broadcast.RunFreezing)
	r := o.lastRun(id)
	if copies := o.int(`SELECT count(*) FROM push`); copies != sliced || r.Cursor != "c0001000" || r.Whole {
		t.Fatalf("after the failure: %d copies, cursor %q, whole %v; want the first slice", copies, r.Cursor, r.Whole)
	}
	if active, err := o.Active(t.Context(), morning); err != nil || len(active) != 0 {
		t.Fatalf("active = %v, %v; want none while it is being frozen", active, err)
	}
	// Who comes meanwhile, or writes, changes nothing of what was decided at the launch.
	o.exec(`INSERT INTO citizen (oa_id, citizen, created_at) VALUES ($1, 'c0001500x', $2)`, oa, morning.Add(time.Minute))
	o.exec(`DROP TRIGGER broken ON push`)
	var wg sync.WaitGroup
	for range 3 { // several instances find it
		wg.Go(func() {
			if err := o.Tick(context.Background(), morning.Add(2*time.Minute)); err != nil {
				t.Errorf("tick: %v", err)
			}
		})
	}
	wg.Wait()
	o.tick(morning.Add(2 * time.Minute))
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	if copies := o.int(`SELECT count(*) FROM push WHERE source = $1 AND state = 'pending'`, r.ID); copies != int64(n) {
		t.Errorf("%d copies, want %d", copies, n)
	}
	rep, err := o.Report(t.Context(), id, 1, morning.Add(3*time.Minute))
	o.must(err)
	if b := rep.Runs[0].Books; b.Audience != int64(n) || b.Pending != int64(n) {
		t.Errorf("books = %+v, want %d pending", b, n)
	}
}

func TestFreezeFoundLongAfterIsMissed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Slice(sliced)
	o.people(sliced + 5)
	id := o.approved(sample())
	o.broken("c0001003")
	if err := o.Tick(t.Context(), morning); err == nil {
		t.Fatal("the freezing did not fail")
	}
	o.exec(`DROP TRIGGER broken ON push`)
	o.tick(morning.Add(8 * time.Hour))
	o.tick(morning.Add(8 * time.Hour))
	o.wants(id, broadcast.Missed, broadcast.RunMissed)
	if n := o.int(`SELECT count(*) FROM push WHERE state <> 'skipped'`); n != 0 {
		t.Errorf("%d copies of a missed run still wait", n)
	}
}

func TestPauseInTheMiddleOfFreezing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Slice(sliced)
	o.people(sliced + 5)
	id := o.approved(sample())
	o.broken("c0001003")
	if err := o.Tick(t.Context(), morning); err == nil {
		t.Fatal("the freezing did not fail")
	}
	o.exec(`DROP TRIGGER broken ON push`)
	o.must(o.Pause(t.Context(), operator, id, morning))
	o.tick(morning)
	o.wants(id, broadcast.Paused, broadcast.RunPaused)
	o.must(o.Resume(t.Context(), operator, id, morning))
	o.tick(morning)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	if n := o.int(`SELECT count(*) FROM push`); n != sliced+5 {
		t.Errorf("%d copies, want everybody's", n)
	}
}

func TestAsksAboveATenth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grow  func(o *office)
		state broadcast.RunState
		cause string
	}{
		"a tenth more people": {func(o *office) { o.more(10, morning) }, broadcast.RunRunning, ""},
		"more than that":      {func(o *office) { o.more(11, morning) }, broadcast.RunAsking, "recipients"},
		"dearer": {func(o *office) {
			o.exec(`UPDATE conversation SET interacted_at = $1 WHERE citizen <= 'c0000012'`, morning.Add(-72*time.Hour))
		}, broadcast.RunAsking, "cost"},
		"fewer": {func(o *office) { o.exec(`DELETE FROM citizen WHERE citizen <= 'c0000050'`) }, broadcast.RunRunning, ""},
	} {
		o := newOffice(t)
		o.people(100)
		// One of them costs something already, so that a tenth of it is more than none.
		o.exec(`UPDATE conversation SET interacted_at = $1 WHERE citizen <= 'c0000010'`, morning.Add(-72*time.Hour))
		id := o.approved(sample())
		c.grow(o)
		o.tick(morning)
		r := o.lastRun(id)
		if r.State != c.state || r.Cause != c.cause {
			t.Errorf("%s: run is %s (%s), want %s (%s)", name, r.State, r.Cause, c.state, c.cause)
		}
		if c.state != broadcast.RunAsking {
			continue
		}
		o.alarmed("broadcast.alert.asking")
		if active, err := o.Active(t.Context(), morning); err != nil || len(active) != 0 {
			t.Errorf("%s: active = %v, %v; want none while it asks", name, active, err)
		}
		if err := o.Go(t.Context(), an, id, morning); !forbidden(err) {
			t.Errorf("%s: the author lets it go: %v", name, err)
		}
		if err := o.Go(t.Context(), operator, id, morning); !forbidden(err) {
			t.Errorf("%s: an operator lets it go: %v", name, err)
		}
		o.must(o.Pause(t.Context(), operator, id, morning))
		o.must(o.Resume(t.Context(), operator, id, morning))
		o.tick(morning)
		o.wants(id, broadcast.Running, broadcast.RunAsking) // it asks again
		o.must(o.Go(t.Context(), binh, id, morning))
		o.wants(id, broadcast.Running, broadcast.RunRunning)
	}
}

// more makes n more people like the others.
func (o *office) more(n int, at time.Time) {
	o.exec(`INSERT INTO citizen (oa_id, citizen, created_at) SELECT $1, 'm' || i, $3 FROM generate_series(1, $2) i`, oa, n, at)
	o.exec(`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at) SELECT $1, 'm' || i, $3, $3 FROM generate_series(1, $2) i`, oa, n, at)
	o.exec(`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at) SELECT $1, 'm' || i, 'topic.health', 'v1', 'zalo', $3 FROM generate_series(1, $2) i`, oa, n, at)
}

func TestAskingTooLongIsMissed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	id := o.approved(sample())
	o.more(3, morning)
	o.tick(morning)
	o.wants(id, broadcast.Running, broadcast.RunAsking)
	o.refused(o.Go(t.Context(), binh, id, morning.Add(61*time.Minute)), "late")
	o.tick(morning.Add(80 * time.Minute))
	o.tick(morning.Add(80 * time.Minute))
	o.wants(id, broadcast.Missed, broadcast.RunMissed)
	if n := o.int(`SELECT count(*) FROM push WHERE state = 'pending'`); n != 0 {
		t.Errorf("%d copies wait of a run that was missed", n)
	}
}

func TestStopPausesAndTells(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	id, run := o.running(sample())
	o.must(o.Stop(t.Context(), run, "quota"))
	o.wants(id, broadcast.Paused, broadcast.RunPaused)
	o.alarmed("broadcast.alert.stopped")
	o.must(o.Stop(t.Context(), run, "quota")) // told twice
	o.must(o.Finish(t.Context(), run, morning))
	o.wants(id, broadcast.Paused, broadcast.RunPaused)
	o.must(o.Resume(t.Context(), operator, id, morning))
	o.wants(id, broadcast.Running, broadcast.RunRunning)
}

func TestCancelSkipsTheRest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(20)
	id, run := o.running(sample())
	o.exec(`UPDATE push SET state = 'sent', ended_at = $1 WHERE citizen <= 'c0000005'`, morning)
	o.must(o.Cancel(t.Context(), operator, id, morning))
	o.wants(id, broadcast.Cancelled, broadcast.RunCancelled)
	if n := o.int(`SELECT count(*) FROM push WHERE source = $1 AND state = 'skipped' AND reason = 'cancelled'`, run); n != 15 {
		t.Errorf("%d skipped, want the 15 who had not got it", n)
	}
	// Before it began, nothing of it happens.
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	undone := o.approved(d)
	o.tick(morning)
	o.must(o.Cancel(t.Context(), an, undone, morning))
	o.tick(morning.Add(time.Hour))
	o.wants(undone, broadcast.Cancelled, broadcast.RunCancelled)
	if n := o.int(`SELECT count(*) FROM push WHERE source <> $1`, run); n != 0 {
		t.Errorf("%d copies of what was cancelled before it began", n)
	}
}

func TestActiveOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	plain := o.approved(sample())
	o.tick(morning)
	first := o.lastRun(plain).ID
	o.exec(`UPDATE push SET state = 'sent', ended_at = $1 WHERE source = $2`, morning, first)
	_, second := o.running(sample())
	fix := o.corrected(plain)
	storm := o.approved(urgent())
	o.tick(morning.Add(time.Minute))
	active, err := o.Active(t.Context(), morning)
	o.must(err)
	want := []int64{o.lastRun(storm).ID, o.lastRun(fix).ID, second}
	if len(active) != 3 || active[0].ID != want[0] || active[1].ID != want[1] || active[2].ID != want[2] {
		t.Errorf("active = %+v, want runs %v: urgent, correction, broadcast", active, want)
	}
	if active[1].Class != push.Correction {
		t.Errorf("a correction goes as class %d", active[1].Class)
	}
	contents, err := o.Render(t.Context(), want[1], []push.Person{{ID: bot.CitizenID{OA: oa, User: "c0000001"}, Language: "vi"}})
	o.must(err)
	if len(contents) != 1 || !strings.Contains(contents[0].Message.Text, "ĐÍNH CHÍNH") {
		t.Errorf("the correction says %+v", contents)
	}
}

func TestArticleHasNoCopies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Kind, d.Body.ImageURL = broadcast.Article, "https://so.example.gov.vn/anh.jpg"
	id, run := o.running(d)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	o.must(o.Pause(t.Context(), operator, id, morning))
	o.must(o.Resume(t.Context(), operator, id, morning))
	o.tick(morning)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	if active, err := o.Active(t.Context(), morning); err != nil || len(active) != 0 {
		t.Errorf("active = %v, %v; want nothing to feed", active, err)
	}
	o.must(o.Finish(t.Context(), run, morning))
	o.wants(id, broadcast.Done, broadcast.RunDone)
	if n := o.int(`SELECT count(*) FROM push`); n != 0 {
		t.Errorf("%d copies of an article", n)
	}
	_, err := o.Correct(t.Context(), an, id, morning)
	o.refused(err, "correct_article")
}
