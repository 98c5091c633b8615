package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// TestProofStoppedUnderLoad: an operator stops the server while people write, and
// starts it again. It ends by itself in time, with nothing left open; whatever was
// acknowledged is answered, now or after the next start, and nothing twice.
func TestProofStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	const stops, each = 2, 40
	var inAir air
	w := newWorld(t, pgtest.URL(t), behindGateway, inAir.slowly)
	g := newGateway(w, true)
	c := newCrowd(g, stops*each, 6)
	address := freePort(t)
	s := w.serve(address)
	g.to(s)
	for i := range stops {
		c.ask(c.people[i*each:(i+1)*each], 6)
		inAir.await(t, 8)
		start := time.Now()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > stopWithin {
			t.Errorf("it took %v to stop", took)
		}
		// What it held it has given back: nobody has to wait for a lease.
		if n := w.count(`SELECT count(*) FROM inbox_claim WHERE NOT resting AND expires_at > now()`); n != 0 {
			t.Errorf("%d citizens are still claimed", n)
		}
		if n := w.count(`SELECT count(*) FROM outbox WHERE state IN ('claimed', 'sending', 'unknown')`); n != 0 {
			t.Errorf("%d messages are still held", n)
		}
		s = w.serve(address)
	}
	c.settle()
	o := c.account()
	o.report(t, "%d questions, %d stops", c.total(), stops)
	o.nothingInDoubt(t)
	w.stop(s)
}

// TestProofExpiredTokenMeetsTwoInstances: the access token ends while two instances
// send. One of them refreshes it, with one call, for both; every message arrives,
// once and in order.
func TestProofExpiredTokenMeetsTwoInstances(t *testing.T) {
	t.Parallel()
	var inAir air
	w := newWorld(t, pgtest.URL(t), behindGateway, inAir.slowly, newRedis(t).start().setting)
	g := newGateway(w, true)
	c := newCrowd(g, 80, 6)
	a, b := w.serve("127.0.0.1:0").Ready(), w.serve("127.0.0.1:0").Ready()
	g.to(a, b)
	c.ask(c.people[:40], 6)
	inAir.await(t, 8)
	before := w.zalo.CallCount(zalosim.PathToken)
	w.zalo.ExpireAccess()
	c.ask(c.people[40:], 6)
	c.settle()
	if n := w.zalo.CallCount(zalosim.PathToken) - before; before != 1 || n != 1 {
		t.Errorf("%d calls for tokens before the end of the first one, %d after; want one each", before, n)
	}
	if n := w.zalo.Refreshes(); n != 2 {
		t.Errorf("%d calls for tokens were answered with one, want 2", n)
	}
	met := func(call zalosim.APICall) bool { return strings.Contains(call.Response, `"error":-220`) }
	if !slices.ContainsFunc(w.zalo.Calls(), met) {
		t.Error("no call met the expired token")
	}
	o := c.account()
	o.report(t, "%d questions, a token ended", c.total())
	o.nothingInDoubt(t)
	w.stop(a)
	w.stop(b)
}
