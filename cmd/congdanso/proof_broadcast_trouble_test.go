package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// allSent fails unless everybody was sent their copy, but for what is unknown.
func allSent(t testing.TB, b push.Books, unknownMost int64) {
	t.Helper()
	if b.Sent+b.Unknown != b.Audience || b.Unknown > unknownMost {
		t.Errorf("sent %d and unknown %d of %d; want all sent, at most %d unknown", b.Sent, b.Unknown, b.Audience, unknownMost)
	}
}

// TestProofBroadcastWithoutRedis: Redis goes away in the middle of a broadcast that
// two instances share a rate for, and comes back. Nobody is left out or told twice.
func TestProofBroadcastWithoutRedis(t *testing.T) {
	t.Parallel()
	r := newRedis(t).start()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond), r.setting)
	c := newCampaign(w, audience{people: 4000, wrote: time.Hour})
	a, b := w.serve("127.0.0.1:0").Ready(), w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(800)
	r.stop()
	c.reached(2000)
	r.start()
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	w.stop(a)
	w.stop(b)
}

// TestProofBroadcastWithoutPostgres: Postgres is killed in the middle, twice, and
// comes back. What was in the air then is sent or said to be unknown; the rest is sent.
func TestProofBroadcastWithoutPostgres(t *testing.T) {
	t.Parallel()
	cluster, url := durable(t)
	w := newWorld(t, url, lightly, paced(40*time.Millisecond))
	c := newCampaign(w, audience{people: 4000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	for i, away := range []time.Duration{0, 3 * time.Second} {
		c.reached(800 + 1200*i)
		if err := cluster.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(away)
		if err := cluster.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the database answers", func() bool { return w.pool.Ping(t.Context()) == nil })
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 2*callsInAir)
	w.stop(s)
}

// TestProofBroadcastPastItsToken: the access token ends in the middle. What was
// refused for it never left, and goes with the next one.
func TestProofBroadcastPastItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond))
	c := newCampaign(w, audience{people: 2000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(700)
	w.zalo.ExpireAccess()
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	if n := w.zalo.Refreshes(); n != 2 {
		t.Errorf("%d refreshes, want the first one and one more", n)
	}
	w.stop(s)
}

// TestProofBroadcastRevoked: the grant is revoked in the middle, as a change of
// permissions does. Calls rest and the operators are told; nothing is lost or doubled,
// and with a new grant it goes on.
func TestProofBroadcastRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond))
	c := newCampaign(w, audience{people: 3000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(700)
	w.zalo.RevokeGrants()
	eventually(t, soon, "the operators are told", func() bool { return strings.Contains(s.Logs(), `"alert":"alert.grant"`) })
	eventually(t, soon, "nothing is in the air", func() bool { return w.count(`SELECT count(*) FROM outbox WHERE state = 'sending'`) == 0 })
	taken := w.zalo.Accepted()
	w.stop(s)
	if n := w.zalo.Accepted() - taken; n > 0 || taken >= int64(c.people) {
		t.Errorf("%d copies were taken without a grant, %d before", n, taken)
	}
	w.vars["ZALO_REFRESH_TOKEN"] = w.zalo.RefreshToken()
	s = w.serve("127.0.0.1:0").Ready()
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	w.stop(s)
}

// TestProofBroadcastBeyondTheRate: for a while Zalo refuses calls for their rate.
// What was refused never left, and is sent later.
func TestProofBroadcastBeyondTheRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond))
	c := newCampaign(w, audience{people: 3000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(800)
	refused := w.zalo.Fault(zalosim.Fault{Code: -32, Times: 300})
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	if refused.Hits() != 300 {
		t.Errorf("%d calls were refused, want 300", refused.Hits())
	}
	w.stop(s)
}

// TestProofBroadcastUnanswered: Zalo answers 502 for a while, and nobody knows what
// it took. After a few such answers the copies rest, but for one that tries now and
// then; replies are tried all the time and go as soon as Zalo answers; and with the
// first copy accepted all the others go.
func TestProofBroadcastUnanswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), copies, paced(100*time.Millisecond), func(o *zalosim.Options, _ map[string]string) {
		o.NoReceipts, o.NoEchoes = true, true
	})
	c := newCampaign(w, audience{people: 3000, wrote: time.Hour})
	s := w.start()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(500)
	down := w.zalo.Fault(zalosim.Fault{Status: http.StatusBadGateway, Times: -1})
	eventually(t, soon, "the copies rest", func() bool { return strings.Contains(s.Logs(), "calls of pushes end without an answer") })
	eventually(t, soon, "what was in the air has ended", func() bool {
		return w.count(`SELECT count(*) FROM outbox WHERE state = 'sending'`) == 0
	})
	struck := down.Hits()
	if struck > callsInAir+5 {
		t.Errorf("%d copies were sent to a Zalo that does not answer", struck)
	}
	lan := w.newcomer(c.people + 1)
	w.zalo.SendText(lan.id, papersWanted)
	eventually(t, soon, "a reply is tried", func() bool { return down.Hits() > struck })
	taken := len(w.zalo.Received())
	down.Remove()
	eventually(t, 40*time.Second, "the reply goes", func() bool { return len(lan.sends()) > 0 })
	if n := len(w.zalo.Received()) - taken; n > 0 {
		t.Errorf("%d copies went before one had tried", n)
	}
	c.runIs(broadcast.RunDone, 2*time.Minute)
	end()
	allSent(t, c.account(0), callsInAir+5)
	w.stop(s)
}

// TestProofBroadcastBeyondItsQuota: the package is used up in the middle. The run is
// paused and says why, nobody counts as failed, and whoever resumes it too early does
// no harm.
func TestProofBroadcastBeyondItsQuota(t *testing.T) {
	t.Parallel()
	const inPackage, people = 1500, 3000
	w := newWorld(t, pgtest.URL(t), lightly)
	c := newCampaign(w, audience{people: people, wrote: 50 * time.Hour, paid: inPackage}, "budget.package_day", "100000", "budget.package_month", "100000")
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.stopped("quota", inPackage)
	if err := c.office.Resume(t.Context(), approver, c.id, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	c.stopped("quota", inPackage)
	end()
	c.account(people - inPackage)
	w.stop(s)
}

// TestProofBroadcastBeyondItsBudget: the budget is used up in the middle. Not one
// message more is paid for; with a larger one, and at an approver's word, it goes on.
func TestProofBroadcastBeyondItsBudget(t *testing.T) {
	t.Parallel()
	const budget, people = 700, 2000
	w := newWorld(t, pgtest.URL(t), lightly)
	c := newCampaign(w, audience{people: people, wrote: 50 * time.Hour, paid: people}, "budget.package_day", itoa(budget))
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	if b := c.stopped("budget", budget); b.Cost != budget*55 {
		t.Errorf("it cost %d đồng, want %d", b.Cost, budget*55)
	}
	w.set("budget.package_day", "100000")
	<-time.After(4 * time.Second) // until every instance has read it
	if err := c.office.Resume(t.Context(), approver, c.id, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	w.stop(s)
}

// stopped waits until the run was paused for a cause with so many copies sent.
func (c *campaign) stopped(cause string, sent int64) push.Books {
	t := c.t
	t.Helper()
	run := c.runIs(broadcast.RunPaused, time.Minute)
	if run.Cause != cause || c.get().State != broadcast.Paused {
		t.Errorf("the broadcast is %s, its run paused for %q; want paused for %q", c.get().State, run.Cause, cause)
	}
	eventually(t, soon, "nothing is in the air", func() bool { return c.w.count(`SELECT count(*) FROM outbox`) == 0 })
	b := c.books()
	if b.Sent != sent || b.Failed != 0 || b.Pending != b.Audience-sent {
		t.Errorf("sent %d, failed %d, pending %d of %d; want %d sent, the others pending", b.Sent, b.Failed, b.Pending, b.Audience, sent)
	}
	return b
}

// TestProofBroadcastByATemplateSwitchedOff: Zalo switches the template off in the
// middle. Whom nothing else reaches is held until they write.
func TestProofBroadcastByATemplateSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond), func(o *zalosim.Options, _ map[string]string) {
		o.Templates = []zalosim.Template{{ID: "77", Params: []zalosim.TemplateParam{{Name: "title", Required: true, MaxLength: 90}}}}
	})
	c := newCampaign(w, audience{people: 900, wrote: -1}, "template.bulletin", "77")
	s := w.serve("127.0.0.1:0").Ready()
	eventually(t, soon, "Zalo has described the template", func() bool { return w.count(`SELECT count(*) FROM push_template WHERE status = 'ENABLE'`) == 1 })
	d := duty()
	d.Template = "bulletin"
	c = c.approve(d).goes()
	end := c.audit()
	c.reached(200)
	w.zalo.SetTemplateStatus("77", zalosim.StatusDisabled)
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	b := c.account(0)
	if b.Sent+b.Held != b.Audience || b.Sent < 200 || b.Held == 0 {
		t.Errorf("sent %d and held %d of %d; want the first sent, all others held", b.Sent, b.Held, b.Audience)
	}
	if refused := int64(w.zalo.CallCount(zalosim.PathTemplate)) - b.Sent; refused > 2*callsInAir {
		t.Errorf("a template that is switched off was tried %d times", refused)
	}
	w.stop(s)
}

// TestProofBroadcastOfASuspendedAccount: Zalo suspends the account in the middle.
// Calls rest and the operators are told; once it is given back and the server was
// started again, it goes on.
func TestProofBroadcastOfASuspendedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), lightly, paced(40*time.Millisecond))
	c := newCampaign(w, audience{people: 3000, wrote: time.Hour})
	s := w.serve("127.0.0.1:0").Ready()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(800)
	w.zalo.Suspend(true)
	eventually(t, soon, "the operators are told", func() bool { return strings.Contains(s.Logs(), `"alert":"alert.delivery"`) })
	eventually(t, soon, "nothing is in the air", func() bool { return w.count(`SELECT count(*) FROM outbox WHERE state = 'sending'`) == 0 })
	calls := w.zalo.CallCount(zalosim.PathSend)
	if refused := int64(calls) - w.zalo.Accepted(); refused > callsInAir {
		t.Errorf("%d calls of a suspended account", refused)
	}
	<-time.After(2 * time.Second)
	if n := w.zalo.CallCount(zalosim.PathSend) - calls; n != 0 {
		t.Errorf("%d more calls of a suspended account", n)
	}
	w.zalo.Suspend(false)
	w.stop(s)
	w.exec(`UPDATE outbox SET due_at = now() WHERE state = 'pending'`) // instead of the five minutes they rest
	s = w.serve("127.0.0.1:0").Ready()
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	allSent(t, c.account(0), 0)
	w.stop(s)
}
