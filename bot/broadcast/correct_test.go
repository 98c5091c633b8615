package broadcast_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/staff"
)

// corrected drafts, changes and approves the correction of a broadcast.
func (o *office) corrected(id int64) int64 {
	o.t.Helper()
	fix, err := o.Correct(o.t.Context(), an, id, morning)
	o.must(err)
	d := o.get(fix).Definition
	d.Body.Vi.Lines = []string{"Trạm y tế nghỉ hôm nay."}
	o.must(o.Edit(o.t.Context(), an, fix, 1, d, morning))
	o.must(o.Submit(o.t.Context(), an, fix, 2, morning))
	o.must(o.Approve(o.t.Context(), binh, fix, o.seen(fix, morning), morning))
	return fix
}

func TestCorrectionGoesToWhoWasSentTheWrongOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(12)
	id, run := o.running(sample())
	for citizen, state := range map[string]string{"c0000001": "sent", "c0000002": "unknown", "c0000003": "queued",
		"c0000004": "held", "c0000005": "failed", "c0000006": "skipped", "c0000007": "sent", "c0000008": "sent"} {
		o.exec(`UPDATE push SET state = $2, ended_at = $3 WHERE citizen = $1`, citizen, state, morning)
	}
	// One of them has stopped everything since, one withdrew the consent.
	o.exec(`INSERT INTO push_person (oa_id, citizen, stopped_at) VALUES ($1, 'c0000007', $2)`, oa, morning)
	o.exec(`UPDATE consent SET withdrawn_at = $1 WHERE citizen = 'c0000008'`, morning)

	fix, err := o.Correct(t.Context(), an, id, morning)
	o.must(err)
	o.wants(id, broadcast.Paused, broadcast.RunPaused) // nobody more gets the wrong one
	o.refused(o.Submit(t.Context(), an, fix, 1, morning), "same_text")
	// Whom it goes to is not for its author to choose.
	d := o.get(fix).Definition
	d.Body.Vi.Lines = []string{"Trạm y tế nghỉ hôm nay."}
	d.Audience = broadcast.Audience{Include: broadcast.Filter{Language: "vi"}}
	o.must(o.Edit(t.Context(), an, fix, 1, d, morning))
	if diff := cmp.Diff(broadcast.Audience{SentBy: []int64{run}}, o.get(fix).Audience); diff != "" {
		t.Errorf("audience of the correction: %s", diff)
	}
	o.must(o.Submit(t.Context(), an, fix, 2, morning))
	o.must(o.Approve(t.Context(), binh, fix, o.seen(fix, morning), morning))
	o.tick(morning.Add(time.Minute))
	o.wants(fix, broadcast.Running, broadcast.RunRunning)
	o.wants(id, broadcast.Cancelled, broadcast.RunCancelled)
	if n := o.int(`SELECT count(*) FROM audit WHERE action = 'broadcast.cancel' AND object = 'broadcast:' || $1::bigint`, id); n != 1 {
		t.Errorf("%d entries in the audit of the wrong one's end, want 1", n)
	}

	got := map[string]string{}
	rows, err := o.pool.Query(t.Context(), `SELECT citizen, state || coalesce(':' || reason, '') FROM push WHERE source = $1`, o.lastRun(fix).ID)
	o.must(err)
	for rows.Next() {
		var citizen, state string
		o.must(rows.Scan(&citizen, &state))
		got[citizen] = state
	}
	want := map[string]string{"c0000001": "pending", "c0000002": "pending", "c0000003": "pending",
		"c0000007": "skipped:stopped", "c0000008": "pending"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("copies of the correction: %s", diff)
	}
}

func TestCorrectionOfRecurring(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule = broadcast.Schedule{Cron: "0 10 * * *", LatestStart: time.Hour}
	id := o.approved(d)
	for day := range 2 {
		at := morning.AddDate(0, 0, day)
		o.tick(at)
		o.tick(at.Add(time.Hour))
		o.must(o.Finish(t.Context(), o.live(id), at.Add(2*time.Hour)))
	}
	fix, err := o.Correct(t.Context(), an, id, morning.AddDate(0, 0, 2))
	o.must(err)
	if n := len(o.get(fix).Audience.SentBy); n != 2 {
		t.Errorf("it goes to those of %d runs, want both that said the wrong thing", n)
	}
	fresh := o.draft(sample())
	_, err = o.Correct(t.Context(), an, fresh, morning)
	o.refused(err, "state")
}

func (o *office) live(id int64) int64 {
	o.t.Helper()
	return o.int(`SELECT id FROM broadcast_run WHERE broadcast = $1 AND state = 'running'`, id)
}

func TestCopyAsNew(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	id := o.approved(d)
	fresh, err := o.Copy(t.Context(), em, id, morning)
	o.must(err)
	b := o.get(fresh)
	if b.State != broadcast.Draft || b.Authors[0] != "em" || !b.Schedule.At.IsZero() || b.Body.Vi.Lines[0] != d.Body.Vi.Lines[0] {
		t.Errorf("copy = %+v", b)
	}
	o.wants(id, broadcast.Approved, "")
	if _, err := o.Copy(t.Context(), la, id, morning); !forbidden(err) {
		t.Errorf("copying for another agency: %v, want it forbidden", err)
	}
}

func TestReportAndResend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(10)
	id, run := o.running(sample())
	o.exec(`UPDATE push SET state = 'sent', ended_at = $1 WHERE citizen <= 'c0000006'`, morning)
	o.exec(`UPDATE push SET state = 'unknown', ended_at = $1 WHERE citizen > 'c0000006'`, morning)
	o.exec(`UPDATE citizen SET unfollowed_at = $1 WHERE citizen IN ('c0000001', 'c0000009')`, morning.Add(time.Hour))
	o.exec(`UPDATE citizen SET unfollowed_at = $1 WHERE citizen = 'c0000002'`, morning.Add(25*time.Hour))
	o.exec(`UPDATE citizen SET unfollowed_at = $1 WHERE citizen = 'c0000003'`, morning.Add(-time.Hour))
	o.must(o.Finish(t.Context(), run, morning.Add(20*time.Minute)))
	rep, err := o.Report(t.Context(), id, 5, morning.Add(48*time.Hour))
	o.must(err)
	if r := rep.Runs[0]; r.Unfollows != 1 || r.Took != 20*time.Minute {
		t.Errorf("report = %d unfollowed, took %s; want 1 and 20 minutes", r.Unfollows, r.Took)
	}
	list, err := o.Unknowns(t.Context(), run, bot.CitizenID{}, 3)
	o.must(err)
	if len(list) != 3 || list[0].Masked != "•••• 0007" || list[0].Who.User != "c0000007" {
		t.Errorf("unknown = %+v", list)
	}
	for _, actor := range []staff.Actor{an, operator} {
		if _, err := o.Resend(t.Context(), actor, id, run, nil, morning); !forbidden(err) {
			t.Errorf("%s resends: %v, want it forbidden", actor.ID, err)
		}
	}
	one := []bot.CitizenID{list[0].Who}
	n, err := o.Resend(t.Context(), binh, id, run, one, morning.Add(time.Hour))
	o.must(err)
	if n != 1 {
		t.Errorf("%d copies go once more, want 1", n)
	}
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	if n := o.int(`SELECT count(*) FROM audit WHERE actor = 'binh' AND action = 'broadcast.resend'`); n != 1 {
		t.Errorf("%d audit rows of it", n)
	}
	o.must(o.Finish(t.Context(), run, morning.Add(2*time.Hour)))
	_, err = o.Resend(t.Context(), binh, id, run, nil, morning.Add(72*time.Hour))
	o.refused(err, "expired")
}
