package broadcast_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/content"
)

func TestOccurrencesInWords(t *testing.T) {
	t.Parallel()
	texts, err := content.Load(content.Files(""), push.Local)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		schedule broadcast.Schedule
		want     []string
	}{
		"every Monday":  {broadcast.Schedule{Cron: "30 8 * * 1"}, []string{"thứ Hai 30/11/2026, 08:30", "thứ Hai 07/12/2026, 08:30", "thứ Hai 14/12/2026, 08:30", "thứ Hai 21/12/2026, 08:30", "thứ Hai 28/12/2026, 08:30"}},
		"leap days":     {broadcast.Schedule{Cron: "0 7 29 2 *"}, []string{"thứ Ba 29/02/2028, 07:00", "Chủ nhật 29/02/2032, 07:00", "thứ Sáu 29/02/2036, 07:00", "thứ Tư 29/02/2040, 07:00", "thứ Hai 29/02/2044, 07:00"}},
		"once, today":   {broadcast.Schedule{At: morning.Add(time.Hour)}, []string{"10:00 hôm nay"}},
		"once approved": {broadcast.Schedule{}, []string{"Ngay khi được duyệt"}},
	} {
		if diff := cmp.Diff(c.want, c.schedule.Words(texts, "vi", morning)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestOccurrencesOnceWithRacingSchedulers lets two instances tick at once under
// clocks that jump back and forth.
func TestOccurrencesOnceWithRacingSchedulers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule = broadcast.Schedule{Cron: "0 * * * *", LatestStart: 10 * time.Minute}
	id := o.approved(d)
	jumps := []time.Duration{0, time.Hour, 50 * time.Minute, 3*time.Hour + time.Minute, 2 * time.Hour, -time.Hour, 9 * time.Hour, 8*time.Hour + 59*time.Minute, 12 * time.Hour}
	for _, jump := range jumps {
		var wg sync.WaitGroup
		for _, skew := range []time.Duration{0, time.Second, -time.Minute} {
			wg.Go(func() {
				if err := o.Tick(context.Background(), morning.Add(jump+skew)); err != nil {
					t.Errorf("tick at %s: %v", jump+skew, err)
				}
			})
		}
		wg.Wait()
		for _, r := range o.runs(id) {
			if r.State == broadcast.RunRunning {
				o.must(o.Finish(t.Context(), r.ID, morning.Add(jump)))
			}
		}
	}
	for range 2 {
		o.tick(morning.Add(12 * time.Hour))
	}
	var got []time.Time
	for _, r := range o.runs(id) {
		got = append(got, r.At)
	}
	slices.Reverse(got)
	var want []time.Time
	for h := 1; h <= len(got); h++ {
		want = append(want, morning.Add(time.Duration(h)*time.Hour))
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 13 {
		t.Errorf("occurrences, want one an hour and each once: %s", diff)
	}
	if n := o.int(`SELECT count(*) FROM (SELECT citizen, source FROM push GROUP BY 1, 2 HAVING count(*) > 1) x`); n != 0 {
		t.Errorf("%d people have two copies of a run", n)
	}
}

func (o *office) runs(id int64) []broadcast.Run {
	o.t.Helper()
	runs, err := o.RunsOf(context.Background(), id, 1000)
	o.must(err)
	return runs
}

func TestMissedIsNeverSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	inTime, late, paused := o.approved(d), o.approved(d), o.approved(d)
	o.tick(morning)
	o.must(o.Pause(t.Context(), operator, paused, morning))
	o.must(o.Pause(t.Context(), operator, late, morning))
	o.must(o.Resume(t.Context(), operator, late, morning))
	o.exec(`UPDATE broadcast SET state = 'paused' WHERE id = $1`, late) // so that only one of them begins now
	o.tick(morning.Add(2 * time.Hour))                                  // the very last moment
	o.wants(inTime, broadcast.Running, broadcast.RunRunning)
	o.wants(paused, broadcast.Paused, broadcast.RunScheduled)
	o.must(o.Resume(t.Context(), operator, late, morning.Add(2*time.Hour)))
	o.tick(morning.Add(2*time.Hour + time.Second)) // a server restored from last night's backup
	o.wants(late, broadcast.Missed, broadcast.RunMissed)
	o.wants(paused, broadcast.Missed, broadcast.RunMissed)
	o.alarmed("broadcast.alert.missed")
	if n := o.int(`SELECT count(*) FROM push WHERE source = $1`, o.lastRun(late).ID); n != 0 {
		t.Errorf("a missed run has %d copies", n)
	}
	if r := o.lastRun(late); r.Cause != "late" {
		t.Errorf("cause = %q", r.Cause)
	}
}

// lively makes everybody's last interaction recent at all times of a test.
func (o *office) lively() { o.exec(`UPDATE conversation SET interacted_at = '2030-01-01'`) }

func TestLongOutageMissesEachOccurrence(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	o.lively()
	d := sample()
	d.Schedule = broadcast.Schedule{Cron: "0 8 * * *", LatestStart: time.Hour}
	id := o.approved(d)
	o.tick(morning)
	// 09:00 five days on: 08:00 of that day is just in time. The first run was made
	// before the outage and is found late; what followed it is made by the next tick.
	o.tick(morning.AddDate(0, 0, 5))
	o.tick(morning.AddDate(0, 0, 5))
	states := map[broadcast.RunState]int{}
	for _, r := range o.runs(id) {
		states[r.State]++
	}
	want := map[broadcast.RunState]int{broadcast.RunMissed: 4, broadcast.RunRunning: 1, broadcast.RunScheduled: 1}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
}

func TestRecurringApprovalEnds(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	o.lively()
	d := sample()
	d.Schedule = broadcast.Schedule{Cron: "0 10 * * *", LatestStart: time.Hour}
	id := o.approved(d)
	o.tick(morning)
	for day := range 92 {
		at := morning.AddDate(0, 0, day).Add(time.Hour)
		o.tick(at)
		if r := o.lastRun(id); r.State == broadcast.RunRunning {
			o.must(o.Finish(t.Context(), r.ID, at.Add(time.Minute)))
		}
		o.tick(at.Add(2 * time.Minute))
		if o.get(id).State == broadcast.Draft {
			break
		}
	}
	o.wants(id, broadcast.Draft, broadcast.RunDone)
	if n := len(o.runs(id)); n != 90 {
		t.Errorf("%d runs under one approval, want 90", n)
	}
	o.alarmed("broadcast.alert.lapsed")
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule = broadcast.Schedule{Cron: "0 * * * *", LatestStart: 30 * time.Minute}
	id := o.approved(d)
	o.tick(morning)
	o.tick(morning.Add(time.Hour))
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	first := o.lastRun(id).ID
	o.tick(morning.Add(2 * time.Hour)) // the first still goes
	o.tick(morning.Add(2 * time.Hour))
	for _, r := range o.runs(id) {
		if r.ID != first && r.State != broadcast.RunScheduled {
			t.Errorf("run at %s is %s beside one that goes", r.At, r.State)
		}
	}
	// What had to wait too long is missed; the one that goes still goes.
	o.tick(morning.Add(2*time.Hour + 31*time.Minute))
	if b := o.get(id); b.State != broadcast.Running {
		t.Errorf("it is %s while a run goes", b.State)
	}
	if o.live(id) != first {
		t.Errorf("run %d goes, want %d", o.live(id), first)
	}
}
