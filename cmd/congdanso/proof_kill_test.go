package main

import (
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
)

// TestProofKilledAgainAndAgain: the server is killed six times while people write
// and are written to, and each time started again on the same address. Whatever
// was acknowledged is turned once and answered, in order; only the calls that were
// in the air at a kill may have been made twice.
func TestProofKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const kills, each = 6, 30
	var inAir air
	w := newWorld(t, pgtest.URL(t), behindGateway, inAir.slowly, newRedis(t).start().setting)
	g := newGateway(w, true)
	c := newCrowd(g, kills*each, 5)
	address := freePort(t)
	s := w.serve(address)
	for i := range kills {
		g.to(s)
		// Others come each time, for a kill holds up whom it meets for some seconds.
		c.ask(c.people[i*each:(i+1)*each], 5)
		inAir.await(t, 8)
		s.Kill()
		s = w.serve(address)
	}
	g.to(s)
	c.settle()
	o := c.account()
	o.report(t, "%d questions, %d kills", c.total(), kills)
	o.within(t, kills)
	w.stop(s)
}

// TestProofTwoInstancesOneKilledOnePaused: two instances share a database under
// load. One is killed and comes back; the other is stopped in the middle of its
// work for longer than any lease, so that its work is taken over, and then goes
// on with what it holds to be its own. Nothing is turned twice, lost, or out of
// order.
func TestProofTwoInstancesOneKilledOnePaused(t *testing.T) {
	t.Parallel()
	const each = 40
	var inAir air
	w := newWorld(t, pgtest.URL(t), behindGateway, inAir.slowly, newRedis(t).start().setting)
	g := newGateway(w, true)
	c := newCrowd(g, 3*each, 6)
	address := freePort(t)
	a, b := w.serve(address).Ready(), w.serve("127.0.0.1:0").Ready()
	g.to(a, b)

	c.ask(c.people[:each], 6)
	inAir.await(t, 8)
	a.Kill()
	c.ask(c.people[each:2*each], 6)
	a = w.serve(address).Ready()

	inAir.await(t, 8)
	b.Pause()
	paused := w.count(`SELECT extract(epoch FROM now())::int`)
	// The other one takes everything, what waits for the paused one included.
	c.ask(c.people[2*each:], 6)
	eventually(t, time.Minute, "every lease of the paused one has lapsed", func() bool {
		return w.count(`SELECT extract(epoch FROM now())::int`) > paused+15
	})
	b.Continue()
	c.settle()

	o := c.account()
	o.report(t, "%d questions, one kill, one pause", c.total())
	o.within(t, 2)
	w.stop(b)
	w.stop(a)
}
