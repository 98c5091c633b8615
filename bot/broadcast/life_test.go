package broadcast_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/bot/staff"
)

func TestFromDraftToDone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(25)
	id := o.draft(sample())
	o.wants(id, broadcast.Draft, "")
	o.must(o.Submit(t.Context(), an, id, 1, morning))
	o.wants(id, broadcast.Submitted, "")
	o.must(o.Approve(t.Context(), binh, id, o.seen(id, morning), morning))
	o.wants(id, broadcast.Approved, "")
	o.tick(morning)
	o.wants(id, broadcast.Running, broadcast.RunRunning)

	run := o.lastRun(id)
	active, err := o.Active(t.Context(), morning)
	o.must(err)
	if len(active) != 1 || active[0].ID != run.ID || active[0].AnyHour || !active[0].ExpiresAt.Equal(morning.Add(24*time.Hour)) {
		t.Errorf("active runs = %+v", active)
	}
	if n := o.int(`SELECT count(*) FROM push WHERE source = $1 AND state = 'pending'`, run.ID); n != 25 {
		t.Errorf("%d copies, want 25", n)
	}
	o.must(o.Finish(t.Context(), run.ID, morning.Add(time.Minute)))
	o.wants(id, broadcast.Done, broadcast.RunDone)

	var acts []string
	rows, err := o.pool.Query(t.Context(), `SELECT actor || ' ' || action FROM audit ORDER BY seq`)
	o.must(err)
	for rows.Next() {
		var act string
		o.must(rows.Scan(&act))
		acts = append(acts, act)
	}
	want := []string{"an broadcast.create", "an broadcast.submit", "binh broadcast.approve", "system broadcast.schedule",
		"system broadcast.launch", "system broadcast.start", "system broadcast.done"}
	if len(acts) != len(want) {
		t.Fatalf("audit = %q, want %q", acts, want)
	}
	for i := range want {
		if acts[i] != want[i] {
			t.Errorf("audit row %d = %q, want %q", i, acts[i], want[i])
		}
	}
}

// TestWhoMayDoWhatWhere tries every act in every state, by everybody.
func TestWhoMayDoWhatWhere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	states := []broadcast.State{broadcast.Draft, broadcast.Submitted, broadcast.Approved, broadcast.Scheduled, broadcast.Running,
		broadcast.Paused, broadcast.Done, broadcast.Missed, broadcast.Cancelled}
	acts := []struct {
		name string
		from string // first letters of the states it may begin in: d s a c r p D m C
		who  string // who may: e(ditor) a(pprover) o(perator)
		do   func(actor staff.Actor, b broadcast.Broadcast) error
	}{
		{"edit", "dsacp", "e", func(a staff.Actor, b broadcast.Broadcast) error {
			return o.Edit(t.Context(), a, b.ID, b.Version, sample(), morning)
		}},
		{"submit", "d", "e", func(a staff.Actor, b broadcast.Broadcast) error {
			return o.Submit(t.Context(), a, b.ID, b.Version, morning)
		}},
		{"send back", "sacp", "a", func(a staff.Actor, b broadcast.Broadcast) error {
			return o.SendBack(t.Context(), a, b.ID, b.Version, "Thiếu ngày", morning)
		}},
		{"approve", "s", "a", func(a staff.Actor, b broadcast.Broadcast) error {
			return o.Approve(t.Context(), a, b.ID, o.seen(b.ID, morning), morning)
		}},
		{"pause", "acr", "eao", func(a staff.Actor, b broadcast.Broadcast) error { return o.Pause(t.Context(), a, b.ID, morning) }},
		{"resume", "p", "ao", func(a staff.Actor, b broadcast.Broadcast) error { return o.Resume(t.Context(), a, b.ID, morning) }},
		{"cancel", "dsacrp", "eao", func(a staff.Actor, b broadcast.Broadcast) error { return o.Cancel(t.Context(), a, b.ID, morning) }},
	}
	letter := map[broadcast.State]byte{broadcast.Draft: 'd', broadcast.Submitted: 's', broadcast.Approved: 'a', broadcast.Scheduled: 'c',
		broadcast.Running: 'r', broadcast.Paused: 'p', broadcast.Done: 'D', broadcast.Missed: 'm', broadcast.Cancelled: 'C'}
	actors := map[byte]staff.Actor{'e': em, 'a': chi, 'o': operator, 'x': la}
	for _, act := range acts {
		for _, state := range states {
			for kind, actor := range actors {
				id := o.draft(sample())
				o.exec(`UPDATE broadcast SET state = $2, approved_at = $3 WHERE id = $1`, id, state, morning)
				err := act.do(actor, o.get(id))
				may, here := containsByte(act.who, kind), containsByte(act.from, letter[state])
				switch {
				case may && here && err != nil:
					t.Errorf("%s in %s by %c: %v, want it done", act.name, state, kind, err)
				case !may && !forbidden(err):
					t.Errorf("%s in %s by %c: error = %v, want it forbidden", act.name, state, kind, err)
				case may && !here:
					var r *broadcast.Refused
					if !errors.As(err, &r) || r.Why != "state" {
						t.Errorf("%s in %s by %c: error = %v, want it refused for the state", act.name, state, kind, err)
					}
				}
				if !(may && here) && o.get(id).State != state {
					t.Errorf("%s in %s by %c: it is %s now", act.name, state, kind, o.get(id).State)
				}
			}
		}
	}
}

func containsByte(s string, b byte) bool {
	for i := range len(s) {
		if s[i] == b {
			return true
		}
	}
	return false
}

func TestWhoWroteAtItDoesNotApprove(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	// dung may do both, and changes one word of an's text.
	id := o.draft(sample())
	d := sample()
	d.Title = "Tiêm vắc xin tuần này"
	o.must(o.Edit(t.Context(), dung, id, 1, d, morning))
	o.must(o.Submit(t.Context(), an, id, 2, morning))
	o.refused(o.Approve(t.Context(), dung, id, o.seen(id, morning), morning), "author")
	// The database refuses it too, whoever asks, and with whatever authors.
	for _, authors := range [][]string{{"an", "dung"}, {"an"}} {
		_, err := o.pool.Exec(t.Context(), `
INSERT INTO broadcast_approval (broadcast, authors, approver, role, hash, recipients, cost, at) VALUES ($1, $2, 'dung', 'approver', '', 0, 0, now())`, id, authors)
		if err == nil {
			t.Errorf("the database took an approval by an author, with the authors %v", authors)
		}
	}
	o.must(o.Approve(t.Context(), binh, id, o.seen(id, morning), morning))
	o.wants(id, broadcast.Approved, "")
}

func TestEditVoidsApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	changes := map[string]func(*broadcast.Definition){
		"text":     func(d *broadcast.Definition) { d.Body.Vi.Lines[0] += " Mang theo sổ tiêm." },
		"audience": func(d *broadcast.Definition) { d.Audience.Include.Language = "vi" },
		"schedule": func(d *broadcast.Definition) { d.Schedule.At = morning.Add(48 * time.Hour) },
		"expiry":   func(d *broadcast.Definition) { d.ExpiresAfter *= 2 },
		"purpose":  func(d *broadcast.Definition) { d.Purpose = "schooling" },
		"template": func(d *broadcast.Definition) { d.Template = "bulletin" },
	}
	hashes := map[string]string{}
	for name, change := range changes {
		d := sample()
		d.Schedule.At = morning.Add(24 * time.Hour)
		id := o.approved(d)
		o.tick(morning) // the run is known
		o.wants(id, broadcast.Scheduled, broadcast.RunScheduled)
		before := o.seen(id, morning)
		change(&d)
		o.must(o.Edit(t.Context(), an, id, o.get(id).Version, d, morning))
		o.wants(id, broadcast.Draft, "")
		if n := o.int(`SELECT count(*) FROM broadcast_approval WHERE broadcast = $1`, id); n != 0 {
			t.Errorf("%s: %d approvals stand after the edit", name, n)
		}
		after := o.seen(id, morning)
		hashes[string(after.Hash)] = name
		if string(before.Hash) == string(after.Hash) {
			t.Errorf("%s: the hash is as before", name)
		}
		if name == "purpose" {
			continue // nobody consented to it: it cannot be submitted
		}
		o.must(o.Submit(t.Context(), an, id, o.get(id).Version, morning))
		// Who looked at it before the edit approves nothing now.
		if err := o.Approve(t.Context(), binh, id, before, morning); !errors.Is(err, broadcast.ErrStale) {
			t.Errorf("%s: approving what was seen before: %v, want ErrStale", name, err)
		}
	}
	if len(hashes) != len(changes) {
		t.Errorf("%d different hashes of %d different edits", len(hashes), len(changes))
	}
}

func TestHashIsCheckedAtLaunch(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	id := o.approved(d)
	o.tick(morning)
	// Whatever changed it, it was not this program's act.
	o.exec(`UPDATE broadcast SET definition = jsonb_set(definition, '{body,vi,lines,0}', '"Chuyển tiền ngay"') WHERE id = $1`, id)
	o.tick(morning.Add(time.Hour))
	o.wants(id, broadcast.Draft, "")
	if note := o.get(id).Note; note == "" {
		t.Error("nobody is told why it did not go")
	}
	o.alarmed("broadcast.alert.lapsed")
	if n := o.int(`SELECT count(*) FROM push`); n != 0 {
		t.Errorf("%d copies were made of a text nobody approved", n)
	}
}

func TestApproverWithdrawn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	d := sample()
	d.Schedule.At = morning.Add(time.Hour)
	kept, waiting := o.approved(d), o.submitted(d)
	o.tick(morning)
	o.exec(`UPDATE staff_role SET withdrawn_at = now(), withdrawn_by = 'x' WHERE staff = 'binh'`)
	if err := o.Approve(t.Context(), binh, waiting, o.seen(waiting, morning), morning); !forbidden(err) {
		t.Errorf("approving without the role: %v, want it forbidden", err)
	}
	o.wants(waiting, broadcast.Submitted, "")
	// What was approved while the role stood does not go when it no longer does.
	o.tick(morning.Add(time.Hour))
	o.wants(kept, broadcast.Draft, "")
}

func TestTwoApproversAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	both := func(id int64) (errs []error) {
		seen := o.seen(id, morning)
		var wg sync.WaitGroup
		list := make([]error, 2)
		for i, who := range []staff.Actor{binh, chi} {
			wg.Go(func() { list[i] = o.Approve(context.Background(), who, id, seen, morning) })
		}
		wg.Wait()
		for _, err := range list {
			if err != nil {
				errs = append(errs, err)
			}
		}
		return errs
	}
	one := o.submitted(sample())
	errs := both(one)
	if len(errs) != 1 {
		t.Fatalf("errors = %v, want one: the second is told", errs)
	}
	o.refused(errs[0], "state")
	o.wants(one, broadcast.Approved, "")

	two := o.submitted(urgent())
	if errs := both(two); len(errs) != 0 {
		t.Errorf("an urgent one takes both: %v", errs)
	}
	o.wants(two, broadcast.Approved, "")
}

func TestUrgentTakesTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	night := morning.Add(16 * time.Hour)
	id := o.submitted(urgent())
	seen := o.seen(id, night)
	unsaid := seen
	unsaid.Basis = false
	o.refused(o.Approve(t.Context(), binh, id, unsaid, night), "confirm_basis")
	o.must(o.Approve(t.Context(), binh, id, seen, night))
	o.tick(night)
	o.wants(id, broadcast.Submitted, "")
	o.refused(o.Approve(t.Context(), binh, id, seen, night), "approved_by_you")
	o.must(o.Approve(t.Context(), chi, id, seen, night))
	o.tick(night)
	o.wants(id, broadcast.Running, broadcast.RunRunning)
	active, err := o.Active(t.Context(), night)
	o.must(err)
	if len(active) != 1 || !active[0].AnyHour || active[0].Class != 1 {
		t.Errorf("active = %+v, want one urgent run that may go at night", active)
	}
}

func TestWhatIsRefusedAtSubmission(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(3)
	for why, change := range map[string]func(*broadcast.Definition){
		"title":            func(d *broadcast.Definition) { d.Title = " " },
		"purpose":          func(d *broadcast.Definition) { d.Purpose = "" },
		"legal_basis":      func(d *broadcast.Definition) { d.Purpose = broadcast.PurposeDuty },
		"urgent_purpose":   func(d *broadcast.Definition) { d.Urgent = true },
		"expiry":           func(d *broadcast.Definition) { d.ExpiresAfter = 0 },
		"past":             func(d *broadcast.Definition) { d.Schedule.At = morning },
		"never_fires":      func(d *broadcast.Definition) { d.Schedule.Cron = "0 8 30 2 *" },
		"too_often":        func(d *broadcast.Definition) { d.Schedule.Cron = "*/20 * * * *" },
		"cron":             func(d *broadcast.Definition) { d.Schedule.Cron = "@every 2h" },
		"latest_start":     func(d *broadcast.Definition) { d.Schedule.LatestStart = time.Second },
		"empty":            func(d *broadcast.Definition) { d.Audience.Include.Language = "en" },
		"content":          func(d *broadcast.Definition) { d.Body.Vi.Lines[0] = "Chào {{tuoi}}" },
		"unit":             func(d *broadcast.Definition) { d.Audience.Include.Units = []string{"99999"} },
		"list_gone":        func(d *broadcast.Definition) { d.Audience.List = 999 },
		"urgent_recurring": func(d *broadcast.Definition) { *d = urgent(); d.Schedule.Cron = "0 8 * * *" },
		"two_schedules": func(d *broadcast.Definition) {
			d.Schedule.Cron, d.Schedule.At = "0 8 * * *", morning.Add(time.Hour)
		},
	} {
		d := sample()
		change(&d)
		id := o.draft(d)
		err := o.Submit(t.Context(), an, id, 1, morning)
		if err == nil {
			t.Errorf("%s: submitted", why)
			continue
		}
		o.refused(err, why)
		o.wants(id, broadcast.Draft, "")
	}
	bad := sample()
	bad.Kind = "letter"
	_, err := o.Create(t.Context(), an, oa, bad, morning)
	o.refused(err, "kind")
	if _, err := o.Create(t.Context(), la, oa, sample(), morning); !forbidden(err) {
		t.Errorf("writing for another agency: %v, want it forbidden", err)
	}
	if _, err := o.Create(t.Context(), operator, oa, sample(), morning); !forbidden(err) {
		t.Errorf("an operator writes: %v, want it forbidden", err)
	}
}

func TestStaleEditIsTold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.draft(sample())
	o.must(o.Edit(t.Context(), an, id, 1, sample(), morning))
	if err := o.Edit(t.Context(), em, id, 1, sample(), morning); !errors.Is(err, broadcast.ErrStale) {
		t.Errorf("editing what somebody else edited: %v, want ErrStale", err)
	}
	if err := o.Edit(t.Context(), em, 999, 1, sample(), morning); !errors.Is(err, broadcast.ErrNotFound) {
		t.Errorf("editing nothing: %v, want ErrNotFound", err)
	}
	o.refused(o.SendBack(t.Context(), binh, id, 2, " ", morning), "word")
}
