package main

import (
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

// TestProofRestoreInTheMiddleOfABroadcast: the backup was made while a broadcast went,
// and the database is lost after it had gone on. The restored one knows of fewer
// copies than Zalo took. Nothing of it is sent, neither before `resume` nor by it: the
// broadcast is paused, and who was in the air at the backup is unknown. A person finds
// out what happened and decides; here they end it.
func TestProofRestoreInTheMiddleOfABroadcast(t *testing.T) {
	t.Parallel()
	cluster, url := durable(t)
	w := newWorld(t, url, lightly, paced(100*time.Millisecond))
	c := newCampaign(w, audience{people: 6000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	c.reached(500)
	restoredTo := backUp(t, w, cluster)
	c.reached(int(w.zalo.Accepted()) + 300) // what only the lost database knew
	s.Kill()
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "no call is under way", func() bool {
		before := w.zalo.Accepted()
		<-time.After(200 * time.Millisecond)
		return w.zalo.Accepted() == before
	})
	taken := w.zalo.Accepted()

	restored := pgtest.StartIn(t, postgres.Options{Dir: restoredTo, Fsync: true, Settings: map[string]string{"restore_command": "false"}})
	w.vars["DATABASE_URL"] = restored.URL("")
	w.pool = pgtest.Open(t, restored.URL(""))
	eventually(t, time.Minute, "the restored database takes writes", func() bool { return w.pool.Ping(t.Context()) == nil })
	c.office = w.office()
	if b := c.books(); b.Sent >= taken || b.Pending == 0 {
		t.Fatalf("the backup knows of %d copies sent and %d to come, Zalo took %d; nothing to prove", b.Sent, b.Pending, taken)
	}
	inAir := w.count(`SELECT count(*) FROM outbox WHERE state = 'sending'`)

	s = w.serve("127.0.0.1:0").Ready()
	c.looked()
	if n := w.zalo.Accepted() - taken; n != 0 {
		t.Fatalf("%d copies were sent before resume", n)
	}
	out, err := w.invoke("resume")
	if err != nil || !strings.Contains(out, "Broadcasts paused: 1.") {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	run := c.runIs(broadcast.RunPaused, soon)
	if run.Cause != "restored" || c.get().State != broadcast.Paused {
		t.Errorf("the broadcast is %s for %q, want it paused for a restore", c.get().State, run.Cause)
	}
	<-time.After(10 * time.Second) // within which sending goes on, as resume says
	if n := w.zalo.Accepted() - taken; n != 0 {
		t.Errorf("%d copies were sent by themselves after resume", n)
	}
	b := c.books()
	if b.Audience != int64(c.people) || b.Unknown != int64(inAir) || b.Failed != 0 {
		t.Errorf("the books: %+v; want %d people, %d unknown", b, c.people, inAir)
	}
	t.Logf("the backup knew of %d sent, %d in the air; Zalo took %d before the loss", b.Sent, inAir, taken)

	if err := c.office.Cancel(t.Context(), approver, c.id, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "nobody is left waiting", func() bool { return c.books().Pending == 0 })
	if b := c.books(); b.Skipped != int64(c.people)-b.Sent-b.Unknown || w.zalo.Accepted() != taken {
		t.Errorf("after the end: %+v, Zalo took %d more", b, w.zalo.Accepted()-taken)
	}
	w.stop(s)
}

// looked waits until the job that launches broadcasts has run once more.
func (c *campaign) looked() {
	c.t.Helper()
	runs := func() int {
		return c.w.count(`SELECT count(*) FROM river_job WHERE args->>'name' = 'broadcasts' AND state = 'completed'`)
	}
	before := runs()
	eventually(c.t, time.Minute, "it is looked at whether something has to go", func() bool { return runs() > before })
}
