package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/integrations/zalo/zalosim"
)

// Staff of the office that sends the proofs' broadcasts.
var (
	writer   = staff.Actor{ID: "an"}
	approver = staff.Actor{ID: "binh"}
)

// campaign is an office with an audience, and a broadcast on its way to it. The
// servers launch and send it; the test writes, approves and counts.
type campaign struct {
	t      testing.TB
	w      *world
	office *broadcast.Store
	people int
	id     int64 // of the broadcast
	run    int64 // its run, once it is launched
}

// lightly is a stand-in that keeps counts and no logs, and tells of nothing.
func lightly(o *zalosim.Options, _ map[string]string) {
	o.KeepLog, o.KeepMessages, o.NoReceipts, o.NoEchoes = -1, -1, true, true
}

// atAnyHour lets pushes go whatever the hour of the test.
var atAnyHour = []string{"push.night_from", "0", "push.night_to", "0"}

// audience is who a campaign writes to.
type audience struct {
	people int
	wrote  time.Duration // so long ago; negative: never
	paid   int           // messages left in the account's package
}

// newCampaign makes the audience, here and at the stand-in, the office, and settings
// (name, value, …).
func newCampaign(w *world, to audience, settings ...string) *campaign {
	w.t.Helper()
	w.set(append(settings, atAnyHour...)...)
	c := &campaign{t: w.t, w: w, people: to.people, office: w.office()}
	w.exec(`INSERT INTO agency (id, name_vi, name_en, level) VALUES ('so', 'Sở Mẫu', 'Department', 'province')`)
	w.exec(`
INSERT INTO staff (id, agency, name, mail, mail_hash, created_at)
SELECT s, 'so', '', '', s::bytea, now() FROM unnest('{an,binh}'::text[]) s`)
	w.exec(`
INSERT INTO staff_role (staff, role, agency, granted_by, granted_at) VALUES
    ('an', 'editor', 'so', 'x', now()), ('binh', 'approver', 'so', 'x', now())`)
	c.populate(to)
	return c
}

// set gives settings (name, value, …) their values, as operators do.
func (w *world) set(settings ...string) {
	w.t.Helper()
	for i := 0; i < len(settings); i += 2 {
		if out, err := w.invoke("settings", "set", settings[i], settings[i+1]); err != nil {
			w.t.Fatalf("settings set %s: %v\n%s", settings[i], err, out)
		}
	}
}

// office is where staff write and approve, on the world's database.
func (w *world) office() *broadcast.Store {
	w.t.Helper()
	texts, err := library()
	if err != nil {
		w.t.Fatal(err)
	}
	keys, values := w.keys(), setting.NewStore(w.pool)
	if _, err := values.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return broadcast.NewStore(broadcast.Options{
		Pool: w.pool, Keys: keys, Push: push.NewStore(w.pool, keys), Staff: staff.NewStore(w.pool, keys, time.Now), Texts: texts,
		Values: values.Values, PublicURL: w.vars["PUBLIC_URL"], Alarm: func(string, ...any) {},
	})
}

// personID is the id of the n-th person, as newcomer gives them.
func personID(n int) string { return fmt.Sprintf("25%017d", n) }

func (c *campaign) populate(to audience) {
	c.t.Helper()
	var interacted *time.Time
	wrote := ""
	if to.wrote >= 0 {
		at := time.Now().Add(-to.wrote).UTC()
		interacted = &at
		wrote = fmt.Sprintf(`,"Wrote":true,"Interacted":%q`, at.Format(time.RFC3339))
	}
	var saved bytes.Buffer
	fmt.Fprintf(&saved, `{"Paid":%d,"People":[`, to.paid)
	for i := range c.people {
		if i > 0 {
			saved.WriteByte(',')
		}
		fmt.Fprintf(&saved, `{"ID":%q,"Name":"Người mẫu","Follows":true%s,"Place":%d}`, personID(i+1), wrote, i)
	}
	saved.WriteString(`]}`)
	if err := c.w.zalo.Load(&saved); err != nil {
		c.t.Fatal(err)
	}
	c.w.exec(`
INSERT INTO citizen (oa_id, citizen, following, created_at)
SELECT $1, '25' || lpad(i::text, 17, '0'), true, now() - interval '1 year' FROM generate_series(1, $2::int) i`, zalosim.ExampleOAID, c.people)
	c.w.exec(`
INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at)
SELECT oa_id, citizen, now() - interval '1 hour', $1 FROM citizen`, interacted)
	c.w.exec(`ANALYZE citizen, conversation`)
}

// duty is a broadcast to everybody, to be sent at once.
func duty() broadcast.Definition {
	return broadcast.Definition{
		Title: "Ngừng cấp nước", Kind: broadcast.Personal, Purpose: broadcast.PurposeDuty, LegalBasis: "Luật Cấp, thoát nước", Agency: "so",
		Body: broadcast.Body{
			Vi:     broadcast.Text{Issuer: "Sở Xây dựng tỉnh Mẫu", Title: "Ngừng cấp nước", Lines: []string{"Ngừng cấp nước từ 8:00 đến 11:30 ngày mai."}},
			Source: broadcast.Source{Number: "12/TB-SXD", Date: time.Now().UTC().AddDate(0, 0, -3)}, Contact: "02290000000",
		},
		Schedule: broadcast.Schedule{LatestStart: time.Hour}, ExpiresAfter: 24 * time.Hour,
	}
}

// approve writes a broadcast and has it approved: from then on it is the servers'.
func (c *campaign) approve(d broadcast.Definition) *campaign {
	c.t.Helper()
	ctx, now := c.t.Context(), time.Now().UTC()
	next := &campaign{t: c.t, w: c.w, office: c.office, people: c.people}
	var err error
	if next.id, err = c.office.Create(ctx, writer, zalosim.ExampleOAID, d, now); err != nil {
		c.t.Fatal(err)
	}
	b := next.get()
	if err := c.office.Submit(ctx, writer, next.id, b.Version, now); err != nil {
		c.t.Fatal(err)
	}
	plan, err := c.office.Plan(ctx, b, now, 100)
	if err != nil {
		c.t.Fatal(err)
	}
	seen := broadcast.Seen{Hash: plan.Hash, Recipients: plan.Recipients, Cost: plan.Cost, Basis: true}
	if err := c.office.Approve(ctx, approver, next.id, seen, now); err != nil {
		c.t.Fatal(err)
	}
	return next
}

func (c *campaign) get() broadcast.Broadcast {
	c.t.Helper()
	b, err := c.office.Get(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// goes waits until the servers have launched it.
func (c *campaign) goes() *campaign {
	c.t.Helper()
	eventually(c.t, time.Minute, "the broadcast is launched", func() bool {
		runs, err := c.office.RunsOf(c.t.Context(), c.id, 1)
		if err != nil || len(runs) == 0 || runs[0].State == broadcast.RunScheduled {
			return false
		}
		c.run = runs[0].ID
		return true
	})
	return c
}

// runIs waits until the run stands so.
func (c *campaign) runIs(state broadcast.RunState, within time.Duration) broadcast.Run {
	c.t.Helper()
	var run broadcast.Run
	eventually(c.t, within, "the run is "+string(state), func() bool {
		runs, err := c.office.RunsOf(c.t.Context(), c.id, 1)
		if err == nil && len(runs) == 1 {
			run = runs[0]
		}
		return run.State == state
	})
	return run
}

// books reads the books of the run.
func (c *campaign) books() push.Books {
	c.t.Helper()
	b, err := c.office.Push.Books(c.t.Context(), c.run)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// reached waits until Zalo has taken so many copies.
func (c *campaign) reached(n int) {
	c.t.Helper()
	eventually(c.t, time.Minute, fmt.Sprintf("%d of %d copies are taken", n, c.people), func() bool { return int(c.w.zalo.Accepted()) >= n })
}

// audit reads the books again and again until it is ended, and fails where they do
// not balance, do not equal the rows they stand for, or tell of more copies sent than
// Zalo took; or where an instance has more calls in the air than it may.
func (c *campaign) audit() (end func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var done sync.WaitGroup
	reads := 0
	done.Go(func() {
		for whole := false; ctx.Err() == nil; {
			err := c.balance(ctx, &whole)
			var off *offBalance
			switch {
			case errors.As(err, &off):
				c.t.Error(err)
				return
			case err == nil:
				reads++ // Postgres may be away
			}
			select {
			case <-ctx.Done():
			case <-time.After(150 * time.Millisecond):
			}
		}
	})
	return func() {
		c.t.Helper()
		cancel()
		done.Wait()
		if reads < 5 {
			c.t.Errorf("the books were read %d times", reads)
		}
	}
}

// offBalance says what is wrong with the books.
type offBalance struct{ what string }

func (e *offBalance) Error() string { return "the books are wrong: " + e.what }

// balance reads the books once. whole is set once everybody has a copy.
func (c *campaign) balance(ctx context.Context, whole *bool) error {
	wrong := func(format string, args ...any) error { return &offBalance{fmt.Sprintf(format, args...)} }
	b, err := c.office.Push.Books(ctx, c.run)
	if err != nil {
		return err
	}
	accepted := c.w.zalo.Accepted()
	for _, n := range []int64{b.Pending, b.Sent, b.Failed, b.Held, b.Skipped, b.Unknown, b.Cost} {
		if n < 0 {
			return wrong("less than nothing: %+v", b)
		}
	}
	if b.Audience == int64(c.people) {
		*whole = true
	}
	if *whole && b.Audience != int64(c.people) || b.Audience > int64(c.people) {
		return wrong("%d of %d people: %+v", b.Audience, c.people, b)
	}
	if b.Sent > accepted {
		return wrong("%d sent, and Zalo took %d", b.Sent, accepted)
	}
	// Books and rows in one snapshot.
	var differ string
	err = c.w.pool.QueryRow(ctx, `
WITH told AS (
    SELECT state, sum(n) AS n FROM push_tally WHERE source = $1 AND state NOT IN ('delivered', 'read') GROUP BY 1
), stand AS (
    SELECT CASE state WHEN 'queued' THEN 'pending' ELSE state END AS state, count(*) AS n FROM push WHERE source = $1 GROUP BY 1
)
SELECT coalesce(string_agg(format('%s: %s told, %s rows', state, t.n, s.n), '; '), '')
FROM told t FULL JOIN stand s USING (state) WHERE coalesce(t.n, 0) <> coalesce(s.n, 0)`, c.run).Scan(&differ)
	if err != nil {
		return err
	}
	if differ != "" {
		return wrong("%s", differ)
	}
	var most int
	err = c.w.pool.QueryRow(ctx, `
SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM outbox WHERE state = 'sending' GROUP BY instance) i`).Scan(&most)
	if err != nil {
		return err
	}
	if most > callsInAir {
		return wrong("%d calls of one instance are in the air", most)
	}
	return nil
}

// copies counts at the stand-in the copies of duty, and no replies.
func copies(o *zalosim.Options, _ map[string]string) {
	o.CountBy = func(s zalosim.Send) string {
		if s.Template == "" && !strings.Contains(s.Text, duty().Title) {
			return ""
		}
		return s.User
	}
}

// paced makes a call take a while after Zalo took it, so that a broadcast is under way
// when something happens to it.
func paced(each time.Duration) worldOption {
	return func(o *zalosim.Options, _ map[string]string) {
		o.OnSend = func(zalosim.Send) { <-time.After(each) }
	}
}

// account checks what became of everybody once the run has ended: one copy each, in a
// final state, sent at most once as Zalo counts, and exactly once where we say so. Of a
// run that was stopped so many wait.
func (c *campaign) account(waiting int64) push.Books {
	t := c.t
	t.Helper()
	rows, err := c.w.pool.Query(t.Context(), `SELECT citizen, state, coalesce(reason, '') FROM push WHERE source = $1`, c.run)
	if err != nil {
		t.Fatal(err)
	}
	type end struct{ state, reason string }
	copies := make(map[string]end, c.people)
	var who string
	var e end
	if _, err := pgx.ForEachRow(rows, []any{&who, &e.state, &e.reason}, func() error { copies[who] = e; return nil }); err != nil {
		t.Fatal(err)
	}
	received := c.w.zalo.Received()
	if len(copies) != c.people {
		t.Errorf("%d copies for %d people", len(copies), c.people)
	}
	faults := 0
	complain := func(format string, args ...any) {
		t.Helper()
		if faults++; faults <= 10 {
			t.Errorf(format, args...)
		}
	}
	for who, n := range received {
		if n > 1 {
			complain("%s was sent %d copies", who, n)
		}
		if _, ok := copies[who]; !ok {
			complain("%s was sent a copy that is in no book", who)
		}
	}
	for who, e := range copies {
		switch n := received[who]; {
		case e.state == "queued" || e.state == "pending" && waiting == 0:
			complain("%s is forgotten: %s", who, e.state)
		case e.state == "sent" && n != 1:
			complain("%s was sent a copy, we say; Zalo took %d", who, n)
		case e.state != "sent" && e.state != "unknown" && n != 0:
			complain("%s got a copy, and is %s %s", who, e.state, e.reason)
		}
	}
	b := c.books()
	if b.Audience != int64(c.people) || b.Pending != waiting {
		t.Errorf("the books at the end: %+v", b)
	}
	arrived := 0
	for who, e := range copies {
		if e.state == "unknown" {
			arrived += received[who]
		}
	}
	t.Logf("%d people: sent %d, failed %d, held %d, skipped %d, pending %d, unknown %d (of them taken by Zalo: %d)",
		b.Audience, b.Sent, b.Failed, b.Held, b.Skipped, b.Pending, b.Unknown, arrived)
	return b
}

// copyOf is how a person's copy stands.
func (c *campaign) copyOf(r *resident) (state string) {
	c.t.Helper()
	err := c.w.pool.QueryRow(c.t.Context(), `SELECT concat_ws(' ', state, reason) FROM push WHERE oa_id = $1 AND citizen = $2 AND source = $3`,
		zalosim.ExampleOAID, r.id, c.run).Scan(&state)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		c.t.Fatal(err)
	}
	return state
}

// person is the n-th of the audience.
func (c *campaign) person(n int) *resident { return &resident{w: c.w, id: personID(n)} }
