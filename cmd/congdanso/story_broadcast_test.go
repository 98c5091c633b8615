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
	must("Tiêm vắc xin", "broadcast", "list")
	must("3 recipients of 3 people", "broadcast", "plan", number)
	must("approved by: binh", "broadcast", "show", number)
	must("paused", "broadcast", "pause", number)
	if out, err := w.invoke("broadcast", "pause", number); err == nil || !strings.Contains(err.Error(), "in the state \"paused\"") {
		t.Errorf("pausing twice: %v\n%s", err, out)
	}
	must("goes on", "broadcast", "resume", number)
	if err := store.Tick(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	must("audience 3 = sent 0 + failed 0 + held 0 + skipped 0 + unknown 0 + pending 3", "broadcast", "report", number)
	must("cancelled", "broadcast", "cancel", number)
	must("skipped 3", "broadcast", "report", number)
	if _, err := w.invoke("broadcast", "report", "999"); err == nil || !strings.Contains(err.Error(), "no such broadcast") {
		t.Errorf("reporting what is not there: %v", err)
	}
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
