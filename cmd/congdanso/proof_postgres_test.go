package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// stubborn is a Zalo that never repeats what was refused.
func stubborn(o *zalosim.Options, _ map[string]string) {
	o.NoRetryOnStatus, o.WebhookTimeout = true, 10*time.Second
}

// TestProofPostgresStopped: Postgres goes away while people write, for longer than
// a webhook can wait, and comes back. Deliveries are refused at once meanwhile and
// Zalo does not repeat them; nothing acknowledged is lost, the server recovers by
// itself, and what was refused is read back from Zalo's chats.
func TestProofPostgresStopped(t *testing.T) {
	t.Parallel()
	cluster, url := durable(t)
	w := newWorld(t, url, stubborn)
	g := newGateway(w, false)
	c := newCrowd(g, 30, 8)
	s := w.serve("127.0.0.1:0")
	g.to(s)
	s.Ready()

	c.ask(c.people, 4)
	g.awaitAcked(c.total() / 6)
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.delivered()
	during := len(c.people[0].asked)
	c.ask(c.people, 1)
	c.delivered()
	<-time.After(2500 * time.Millisecond) // the outage lasts longer than Zalo waits for an answer
	c.ask(c.people, 1)
	c.delivered()
	for _, a := range c.people {
		for i, id := range a.asked {
			status := g.answerTo(id)
			if i >= during && status != http.StatusServiceUnavailable || status != http.StatusOK && status != http.StatusServiceUnavailable {
				t.Errorf("message %d of 6: answered %d", i+1, status)
			}
		}
	}
	refused := int(g.refused.Load())

	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Ready()
	<-time.After(300 * time.Millisecond) // for a moment more deliveries are refused unseen
	c.ask(c.people, 2)
	c.delivered()
	eventually(t, time.Minute, "everything was read back", func() bool {
		return w.count(`SELECT count(*) FROM turned_event`) == c.total()
	})
	c.settle()

	o := outcome{}
	for _, a := range c.people {
		// What was read back comes late, but in its own order.
		var taken, readBack []string
		for i, id := range a.asked {
			if g.answerTo(id) == http.StatusOK {
				taken = append(taken, a.codes[i])
			} else {
				readBack = append(readBack, a.codes[i])
			}
		}
		for _, codes := range [][]string{taken, readBack} {
			twice, unknown := c.accountOf(a, codes)
			o.twice += twice
			o.unknown += unknown
		}
	}
	c.turnedOnce()
	o.report(t, "%d questions, %d acknowledged, %d refused and read back (%d more after the outage)",
		c.total(), g.acked.Load(), refused, int(g.refused.Load())-refused)
	o.within(t, 1)
	if !strings.Contains(s.Logs(), "reconciled with Zalo's chats") {
		t.Error("nothing was read back from Zalo's chats")
	}
	w.stop(s)
}

// TestProofStartedWithoutPostgres: the server is started while Postgres is away. It
// says so, refuses deliveries, and serves by itself once Postgres is there.
func TestProofStartedWithoutPostgres(t *testing.T) {
	t.Parallel()
	cluster, url := durable(t)
	w := newWorld(t, url, behindGateway)
	g := newGateway(w, true)
	c := newCrowd(g, 5, 2)
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := w.serve("127.0.0.1:0")
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s answers %d without Postgres, want %d", path, resp.StatusCode, want)
		}
	}
	w.zalo.SetWebhookURL(s.url + "/webhooks/zalo")
	status, err := w.zalo.ProbeEvent(t.Context(), "user_send_text")
	if err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a delivery is answered %d, %v", status, err)
	}
	g.connect()
	g.to(s)
	c.ask(c.people, 2) // offered again and again
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Ready()
	c.settle()
	c.account().nothingInDoubt(t)
	w.stop(s)
}

// TestProofKilledWhileReadingBack: nobody was there to take what people wrote. The
// server that comes reads it back from Zalo's chats, is killed in the middle of
// it, and the next one goes on; meanwhile some who got no answer write again.
func TestProofKilledWhileReadingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), stubborn)
	g := newGateway(w, false)
	c := newCrowd(g, 25, 4)
	w.stop(w.serve("127.0.0.1:0").Ready())
	g.to()
	c.ask(c.people, 2)
	c.delivered()
	if n := g.refused.Load(); n != int64(2*len(c.people)) {
		t.Fatalf("%d messages did not arrive", n)
	}
	w.exec(`UPDATE heartbeat SET beat_at = now() - interval '1 minute'`) // instead of waiting for it

	hang := w.zalo.Fault(zalosim.Fault{Path: zalosim.PathConversation, Hang: true, Times: -1})
	s := w.serve("127.0.0.1:0").Ready()
	select {
	case <-hang.Struck():
	case <-time.After(time.Minute):
		t.Fatal("the chats are not read back")
	}
	s.Kill()
	w.zalo.ClearFaults()

	s = w.serve("127.0.0.1:0")
	g.to(s)
	s.Ready()
	c.ask(c.people, 2)
	c.settle()
	eventually(t, time.Minute, "everything was read back", func() bool {
		return w.count(`SELECT count(*) FROM turned_event`) == c.total()
	})
	c.settle()
	c.turnedOnce()
	for _, a := range c.people {
		c.accountOf(a, a.codes[:2])
		c.accountOf(a, a.codes[2:])
	}
	w.stop(s)
}
