package main

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// TestStoryOfAnOperatorWhoHoldsABroadcast: what two people wrote and approved is
// seen, planned, paused, resumed and cancelled from the machine, in the operator's
// name; writing and approving are not for the machine.
func TestStoryOfAnOperatorWhoHoldsABroadcast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t))
	if out, err := w.invoke("broadcast", "list"); err != nil || !strings.Contains(out, "no broadcasts") {
		t.Fatalf("broadcast list: %v\n%s", err, out)
	}
	now := time.Now().UTC()
	store, id := w.broadcast(now)
	number := fmt.Sprint(id)
	must := func(want string, args ...string) {
		t.Helper()
		out, err := w.invoke(args...)
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v: %v\n%s\nwant %q in it", args, err, out, want)
		}
	}
	// refuses wants a sentence that says why, whoever reads it.
	refuses := func(want string, args ...string) {
		t.Helper()
		if out, err := w.invoke(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v\n%s\nwant %q told", args, err, out, want)
		}
	}
	for _, act := range []string{"plan", "show", "pause", "resume", "cancel", "report"} {
		refuses("no such broadcast", "broadcast", act, "999")
		refuses("no such broadcast", "broadcast", act, "-1")
		refuses("not the number of a broadcast", "broadcast", act, "x")
		refuses("not the number of a broadcast", "broadcast", act, "99999999999999999999")
		refuses("usage", "broadcast", act)
		refuses("usage", "broadcast", act, number, number)
	}
	refuses("usage", "broadcast", "list", number)
	must("Tiêm vắc xin", "broadcast", "list")
	refuses("in the state \"approved\"", "broadcast", "resume", number)
	must("3 recipients of 3 people", "broadcast", "plan", number)
	must("approved by: binh", "broadcast", "show", number)
	must("paused", "broadcast", "pause", number)
	refuses("in the state \"paused\"", "broadcast", "pause", number)
	must("goes on", "broadcast", "resume", number)
	if err := store.Tick(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	must("audience 3 = sent 0 + failed 0 + held 0 + skipped 0 + unknown 0 + pending 3", "broadcast", "report", number)
	must("cancelled", "broadcast", "cancel", number)
	must("skipped 3", "broadcast", "report", number)
	for _, act := range []string{"pause", "resume", "cancel"} {
		refuses("in the state \"cancelled\"", "broadcast", act, number)
	}
	must("3 recipients", "broadcast", "plan", number)
	must("cancelled", "broadcast", "show", number)
	for _, args := range [][]string{{"broadcast"}, {"broadcast", "approve", number}, {"broadcast", "pause", "x"}, {"notices"}} {
		if _, err := w.invoke(args...); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%v: %v, want the usage told", args, err)
		}
	}
	must("no notices since", "notices", "stats")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM audit WHERE actor = $1 AND object = $2 AND action IN ('broadcast.pause', 'broadcast.resume', 'broadcast.cancel')`,
		"operator:"+me.Username, "broadcast:"+number); n != 3 {
		t.Errorf("%d entries in the audit of the operator's acts, want 3", n)
	}
}

// TestStoryOfAnOperatorWhoReadsAReport: what became of a broadcast stands in the
// report: by state and reason, delivered and read, who left because of it, which links
// were opened, and whose copy nobody knows the fate of, masked.
func TestStoryOfAnOperatorWhoReadsAReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t))
	now := time.Now().UTC()
	store, id := w.broadcast(now)
	if err := store.Tick(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	runs, err := store.RunsOf(t.Context(), id, 1)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	run := runs[0].ID
	w.exec(`INSERT INTO citizen (oa_id, citizen, created_at) VALUES ($1, 'person0004321', now())`, zalosim.ExampleOAID)
	w.exec(`INSERT INTO push (oa_id, citizen, source, kind, class, state, due_at, expires_at, made_at) VALUES ($1, 'person0004321', $2, 'broadcast', 4, 'unknown', $3, $3, $3)`,
		zalosim.ExampleOAID, run, now)
	w.exec(`UPDATE push SET state = 'sent', ended_at = $2 WHERE source = $1 AND citizen IN ('c1', 'c2')`, run, now)
	w.exec(`UPDATE citizen SET unfollowed_at = $1 WHERE citizen = 'c2'`, now.Add(time.Second))
	w.exec(`INSERT INTO push_tally (source, kind, state, reason, rung, day, n, cost) VALUES
($1, 'broadcast', 'pending', '', '', $2, -3, 0), ($1, 'broadcast', 'sent', '', 'package', $2, 2, 110), ($1, 'broadcast', 'skipped', 'withdrawn', '', $2, 1, 0),
($1, 'broadcast', 'unknown', '', 'package', $2, 1, 55), ($1, 'broadcast', 'delivered', '', '', $2, 2, 0), ($1, 'broadcast', 'read', '', '', $2, 1, 0)`, run, now)
	w.exec(`INSERT INTO link (code, owner_kind, owner_id, url, made_at) VALUES ('abcdefg', 'broadcast', $1, 'https://soyte.example.vn/lich', $2)`, id, now)
	w.exec(`INSERT INTO link_click (code, day, clicks) VALUES ('abcdefg', $1, 17)`, now)
	w.exec(`INSERT INTO push_rung (oa_id, rung, until, cause) VALUES ($1, 'package', $2, 'quota')`, zalosim.ExampleOAID, now.Add(time.Hour))
	out, err := w.invoke("broadcast", "report", fmt.Sprint(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"audience 4 = sent 2 + failed 0 + held 0 + skipped 1 + unknown 1 + pending 0", "cost 165 VND", "delivered 2", "read 1", "unfollowed 1",
		"unknown: •••• 4321", "opened 17 times: https://soyte.example.vn/lich", "from the package", "do not want to hear of it",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(out, "person000") {
		t.Error("the report names somebody")
	}
	if t.Failed() {
		t.Log(out)
	}
	if out, err := w.invoke("broadcast", "show", fmt.Sprint(id)); err != nil || !strings.Contains(out, "Closed until") {
		t.Errorf("show tells no trouble: %v\n%s", err, out)
	}
}

// broadcast is one that an wrote and binh approved, to three people.
func (w *world) broadcast(now time.Time) (*broadcast.Store, int64) {
	w.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, sql := range []string{
		`INSERT INTO agency (id, name_vi, name_en, level) VALUES ('so', 'Sở Mẫu', 'Department', 'department')`,
		`INSERT INTO staff (id, agency, name, mail, mail_hash, created_at) VALUES ('an', 'so', '', '', 'an', now()), ('binh', 'so', '', '', 'binh', now())`,
		`INSERT INTO staff_role (staff, role, agency, granted_by, granted_at) VALUES ('an', 'editor', 'so', 'x', now()), ('binh', 'approver', 'so', 'x', now())`,
		`INSERT INTO citizen (oa_id, citizen, created_at) SELECT '` + zalosim.ExampleOAID + `', 'c' || i, now() - interval '1 day' FROM generate_series(1, 3) i`,
		`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at) SELECT oa_id, citizen, 'topic.health', 'v1', 'zalo', now() - interval '1 day' FROM citizen`,
	} {
		_, err := w.pool.Exec(ctx, sql)
		must(err)
	}
	texts, err := content.Load(content.Files(""), push.Local)
	must(err)
	keys, err := seal.Load(ctx, w.pool, make([]byte, seal.KeySize), nil)
	must(err)
	s := broadcast.NewStore(broadcast.Options{
		Pool: w.pool, Keys: keys, Push: push.NewStore(w.pool, keys), Staff: staff.NewStore(w.pool, keys, time.Now), Texts: texts,
		Values: func() setting.Values { return setting.Values{} }, Alarm: func(string, ...any) {},
	})
	an, binh := staff.Actor{ID: "an"}, staff.Actor{ID: "binh"}
	id, err := s.Create(ctx, an, zalosim.ExampleOAID, broadcast.Definition{
		Title: "Tiêm vắc xin", Kind: broadcast.Personal, Purpose: "health", Agency: "so",
		Body: broadcast.Body{
			Vi:     broadcast.Text{Issuer: "Sở Y tế tỉnh Mẫu", Title: "Tiêm vắc xin", Lines: []string{"Mời đưa trẻ đi tiêm tại trạm y tế."}},
			Source: broadcast.Source{Number: "12/TB-SYT", Date: now.AddDate(0, 0, -3)}, Contact: "02290000000",
		},
		Schedule: broadcast.Schedule{LatestStart: time.Hour}, ExpiresAfter: 24 * time.Hour,
	}, now)
	must(err)
	must(s.Submit(ctx, an, id, 1, now))
	b, err := s.Get(ctx, id)
	must(err)
	plan, err := s.Plan(ctx, b, now, 100)
	must(err)
	must(s.Approve(ctx, binh, id, broadcast.Seen{Hash: plan.Hash, Recipients: plan.Recipients, Cost: plan.Cost}, now))
	return s, id
}
