package main

import (
	"slices"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// TestProofCutOffReply: Zalo takes replies and the connection breaks before it says
// so. The echo tells that they arrived; where Zalo sends no echoes, each goes out
// once more, and never a third time.
func TestProofCutOffReply(t *testing.T) {
	t.Parallel()
	for name, echoes := range map[string]bool{"with echoes": true, "without echoes": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const cut = 12
			w := newWorld(t, pgtest.URL(t), func(o *zalosim.Options, _ map[string]string) { o.NoEchoes = !echoes })
			g := newGateway(w, true)
			c := newCrowd(g, 20, 4)
			s := w.serve("127.0.0.1:0")
			g.to(s)
			s.Ready()
			c.ask(c.people, 2)
			c.settle()
			some := w.zalo.Fault(zalosim.Fault{CutAfter: true, Times: cut})
			// One of them has bad luck again and again.
			unlucky := c.people[7]
			again := w.zalo.Fault(zalosim.Fault{CutAfter: true, Times: 2, User: unlucky.id})
			c.ask(c.people, 2)
			c.settle()
			if some.Hits() != cut {
				t.Fatalf("%d of %d calls were cut off", some.Hits(), cut)
			}
			o := c.account()
			o.report(t, "%d cut off, one person's %d more", cut, again.Hits())
			for _, a := range c.people {
				sent := map[string]int{}
				for _, m := range a.sends() {
					sent[codeIn(m.Text, a.codes)]++
				}
				for code, n := range sent {
					if n > 2 || echoes && n > 1 {
						t.Errorf("the reply about %s went out %d times", code, n)
					}
				}
			}
			if echoes {
				o.nothingInDoubt(t)
				// It is known which message of Zalo's each reply became.
				for _, a := range c.people {
					for _, m := range a.sends() {
						if n := w.count(`SELECT count(*) FROM history WHERE citizen = $1 AND outgoing AND outcome = 'sent' AND msg_id = $2`, a.id, m.MsgID); n != 1 {
							t.Errorf("Zalo's message %s stands %d times in the history", m.MsgID, n)
						}
					}
				}
			} else if all := cut + again.Hits(); o.twice+o.unknown != all {
				// Cut off once: sent once more. Cut off twice: sent twice, and unknown.
				t.Errorf("%d sent twice, %d unknown of %d cut off", o.twice, o.unknown, all)
			}
			w.stop(s)
		})
	}
}

// TestProofDisturbedStream: Zalo's deliveries come doubled, late and in any order,
// some before their turn and some after. Whatever waits is turned in the order in
// which it was written; nothing is turned twice.
func TestProofDisturbedStream(t *testing.T) {
	t.Parallel()
	disturbed := func(o *zalosim.Options, _ map[string]string) {
		o.Clock = zalosim.NewFrozenClock(time.Now().Add(-time.Hour))
		o.UnorderedWebhooks = true
	}
	const seconds = 30
	mess := zalosim.Disturbance{Events: []string{"user_send_text"}, Duplicate: .4, Delay: .5, MaxDelay: seconds * time.Second, Shuffle: 40, Seed: 7}
	// The mess ends: whatever was held back is delivered.
	calm := func(w *world) {
		w.zalo.Disturb(zalosim.Disturbance{})
		w.zalo.Clock().Advance(seconds * time.Second)
	}

	t.Run("what waits is turned in order", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pgtest.URL(t), disturbed)
		g := newGateway(w, true)
		c := newCrowd(g, 40, 10)
		door := w.serve("127.0.0.1:0", "--roles", "web")
		g.to(door)
		door.Ready()
		w.zalo.Disturb(mess)
		c.askAtOnce()
		calm(w)
		c.delivered()
		worker := w.serve("127.0.0.1:0", "--roles", "worker")
		c.settle()
		doubled := int(g.acked.Load()) - c.total()
		o := c.account()
		o.report(t, "%d questions, %d of them delivered twice", c.total(), doubled)
		o.nothingInDoubt(t)
		if doubled == 0 {
			t.Error("nothing was delivered twice")
		}
		w.stop(door)
		w.stop(worker)
	})

	t.Run("nothing is turned twice", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pgtest.URL(t), disturbed)
		g := newGateway(w, true)
		c := newCrowd(g, 40, 10)
		s := w.serve("127.0.0.1:0")
		g.to(s)
		s.Ready()
		w.zalo.Disturb(mess)
		c.askAtOnce()
		calm(w)
		c.settle()
		c.turnedOnce()
		for _, a := range c.people {
			got, twice := a.answers(a.codes)
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(a.codes)); twice > 0 || !slices.Equal(got, want) {
				t.Errorf("answered\n%v\nwant\n%v\n%s", got, want, a.chat())
			}
		}
		t.Logf("%d questions, %d of them delivered twice", c.total(), int(g.acked.Load())-c.total())
		w.stop(s)
	})
}
