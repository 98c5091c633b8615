package broadcast_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"congdanso/bot/broadcast"
	"congdanso/bot/staff"
)

// ways are the changes of state there may be.
var ways = map[broadcast.State][]broadcast.State{
	broadcast.Draft:     {broadcast.Submitted, broadcast.Cancelled},
	broadcast.Submitted: {broadcast.Draft, broadcast.Approved, broadcast.Cancelled},
	broadcast.Approved:  {broadcast.Draft, broadcast.Paused, broadcast.Cancelled, broadcast.Scheduled, broadcast.Running, broadcast.Missed},
	broadcast.Scheduled: {broadcast.Draft, broadcast.Paused, broadcast.Cancelled, broadcast.Running, broadcast.Missed},
	broadcast.Running:   {broadcast.Paused, broadcast.Cancelled, broadcast.Done, broadcast.Missed, broadcast.Scheduled},
	broadcast.Paused:    {broadcast.Draft, broadcast.Cancelled, broadcast.Approved, broadcast.Scheduled, broadcast.Running, broadcast.Missed},
	broadcast.Done:      {broadcast.Running},
	broadcast.Missed:    {},
	broadcast.Cancelled: {},
}

// TestNoSequenceOfActsLeavesTheRules does random acts by random people under a
// clock that goes on, and looks after each whether everything promised holds.
func TestNoSequenceOfActsLeavesTheRules(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people(4)
	o.lively()
	people := []staff.Actor{an, em, binh, chi, binh, chi, operator, operator, dung, la}
	met := map[broadcast.State]bool{}
	rapid.Check(t, func(r *rapid.T) {
		now := morning
		d := sample()
		switch rapid.IntRange(0, 3).Draw(r, "kind") {
		case 1:
			d.Schedule.At = now.Add(time.Hour)
		case 2:
			d.Schedule.Cron = "0 * * * *"
		case 3:
			d = urgent()
		}
		// Begun by those who may, so that late states are met as often as early ones.
		var id int64
		switch rapid.IntRange(0, 3).Draw(r, "begun") {
		case 0:
			id = o.draft(d)
		case 1:
			id = o.submitted(d)
		default:
			id = o.approved(d)
			if !d.Schedule.At.IsZero() || d.Schedule.Recurring() {
				o.tick(now)
				now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, time.Hour, 5 * time.Hour}).Draw(r, "late"))
			}
			o.tick(now)
		}
		state := o.get(id).State
		met[state] = true
		for range rapid.IntRange(5, 25).Draw(r, "acts") {
			who := rapid.SampledFrom(people).Draw(r, "who")
			act := rapid.SampledFrom([]string{"edit", "submit", "submit", "back", "approve", "approve", "approve", "pause", "resume",
				"cancel", "tick", "tick", "tick", "wait", "stop", "finish", "go", "resend"}).Draw(r, "act")
			b := o.get(id)
			var err error
			switch act {
			case "edit":
				err = o.Edit(t.Context(), who, id, b.Version, b.Definition, now)
			case "submit":
				err = o.Submit(t.Context(), who, id, b.Version, now)
			case "back":
				err = o.SendBack(t.Context(), who, id, b.Version, "xem lại", now)
			case "approve":
				err = o.Approve(t.Context(), who, id, o.seen(id, now), now)
			case "pause":
				err = o.Pause(t.Context(), who, id, now)
			case "resume":
				err = o.Resume(t.Context(), who, id, now)
			case "cancel":
				if rapid.IntRange(0, 5).Draw(r, "really") == 0 {
					err = o.Cancel(t.Context(), who, id, now)
				}
			case "tick":
				err = o.Tick(t.Context(), now)
			case "wait":
				now = now.Add(rapid.SampledFrom([]time.Duration{time.Minute, 30 * time.Minute, time.Hour, 5 * time.Hour}).Draw(r, "long"))
			case "go":
				err = o.Go(t.Context(), who, id, now)
			default:
				runs := o.runs(id)
				if len(runs) == 0 {
					continue
				}
				run := rapid.SampledFrom(runs).Draw(r, "run").ID
				switch act {
				case "stop":
					err = o.Stop(t.Context(), run, "quota")
				case "finish":
					o.exec(`UPDATE push SET state = CASE WHEN citizen = 'c0000001' THEN 'unknown' ELSE 'sent' END, ended_at = $2
WHERE source = $1 AND state = 'pending' AND EXISTS (SELECT FROM broadcast_run WHERE id = $1 AND state = 'running')`, run, now)
					err = o.Finish(t.Context(), run, now)
				case "resend":
					_, err = o.Resend(t.Context(), who, id, run, nil, now)
				}
			}
			var refused *broadcast.Refused
			if err != nil && !forbidden(err) && !errors.As(err, &refused) && !errors.Is(err, broadcast.ErrStale) && !errors.Is(err, broadcast.ErrNotFound) {
				r.Fatalf("%s by %s: %v", act, who.ID, err)
			}
			fresh := o.get(id)
			// A tick may do several steps at once: approved, scheduled, running.
			if fresh.State != state && !slices.Contains(ways[state], fresh.State) {
				r.Fatalf("%s by %s led from %s to %s", act, who.ID, state, fresh.State)
			}
			state = fresh.State
			met[state] = true
			if err := o.sound(fresh); err != nil {
				r.Fatalf("after %s by %s, in %s: %v", act, who.ID, state, err)
			}
		}
	})
	for state := range ways {
		if !met[state] {
			t.Errorf("no sequence met the state %s: it proves nothing of it", state)
		}
	}
}

// sound says what of the promises does not hold of a broadcast.
func (o *office) sound(b broadcast.Broadcast) error {
	need := int64(1)
	if b.Urgent {
		need = 2
	}
	approvals := o.int(`SELECT count(*) FROM broadcast_approval WHERE broadcast = $1`, b.ID)
	switch b.State {
	case broadcast.Approved, broadcast.Scheduled, broadcast.Running:
		if approvals < need {
			return fmt.Errorf("%d approvals, want %d", approvals, need)
		}
	case broadcast.Draft:
		if approvals != 0 {
			return fmt.Errorf("a draft has %d approvals", approvals)
		}
	}
	for what, sql := range map[string]string{
		"approvals by an author":         `SELECT count(*) FROM broadcast_approval a JOIN broadcast b ON b.id = a.broadcast WHERE b.id = $1 AND a.approver = ANY (b.authors)`,
		"runs that go beside another":    `SELECT greatest(0, count(*) - 1) FROM broadcast_run WHERE broadcast = $1 AND state IN ('freezing', 'asking', 'running', 'paused')`,
		"runs that go while it does not": `SELECT count(*) FROM broadcast_run r JOIN broadcast b ON b.id = r.broadcast WHERE b.id = $1 AND r.state IN ('freezing', 'asking', 'running') AND b.state <> 'running'`,
		"runs left of a draft":           `SELECT count(*) FROM broadcast_run r JOIN broadcast b ON b.id = r.broadcast WHERE b.id = $1 AND b.state IN ('draft', 'submitted') AND r.state NOT IN ('done', 'missed', 'cancelled')`,
		"copies that wait of what ended": `SELECT count(*) FROM push p JOIN broadcast_run r ON r.id = p.source WHERE r.broadcast = $1 AND r.state IN ('cancelled') AND p.state = 'pending'`,
		"copies of what never began":     `SELECT count(*) FROM push p JOIN broadcast_run r ON r.id = p.source WHERE r.broadcast = $1 AND r.started_at IS NULL`,
		"runs begun too late":            `SELECT count(*) FROM broadcast_run WHERE broadcast = $1 AND started_at > latest_at`,
		"runs begun too early":           `SELECT count(*) FROM broadcast_run WHERE broadcast = $1 AND started_at < at`,
		"incomplete audiences that go":   `SELECT count(*) FROM broadcast_run WHERE broadcast = $1 AND state = 'running' AND NOT (whole AND cleared)`,
		"ends without a time":            `SELECT count(*) FROM broadcast_run WHERE broadcast = $1 AND (state IN ('done', 'missed', 'cancelled')) <> (ended_at IS NOT NULL)`,
	} {
		if n := o.int(sql, b.ID); n != 0 {
			return fmt.Errorf("%d %s", n, what)
		}
	}
	return nil
}
