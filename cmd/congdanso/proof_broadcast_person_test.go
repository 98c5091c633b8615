package main

import (
	"strings"
	"testing"
	"time"

	"congdanso/bot/broadcast"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// quietly is a stand-in that keeps chats and sends no receipts, so that a broadcast is
// not followed by three webhooks a copy.
func quietly(o *zalosim.Options, _ map[string]string) { o.NoReceipts, o.NoEchoes = true, true }

// TestProofErasedInTheMiddleOfABroadcast: somebody whose copy has not gone yet has
// everything erased, in the chat, while the broadcast goes; their answers overtake it.
// They get no copy, and the books count one who is nobody any more.
func TestProofErasedInTheMiddleOfABroadcast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), quietly, copies, paced(200*time.Millisecond))
	c := newCampaign(w, audience{people: 4000, wrote: time.Hour})
	s := w.start()
	c = c.approve(duty()).goes()
	end := c.audit()
	c.reached(200)
	her := c.person(c.people) // copies go by the order of ids
	her.says("xoá dữ liệu của tôi")
	has(t, her.says("XOÁ"), "biên nhận")
	if n := len(w.zalo.Received()); n >= c.people-1 {
		t.Fatalf("the broadcast was over before she was erased: %d copies", n)
	}
	c.runIs(broadcast.RunDone, time.Minute)
	end()
	b := c.account(0)
	if b.Skipped != 1 || b.Sent != b.Audience-1 {
		t.Errorf("sent %d, skipped %d of %d; want all but one sent", b.Sent, b.Skipped, b.Audience)
	}
	if n := w.count(`SELECT count(*) FROM push WHERE citizen LIKE 'erased:%' AND state = 'skipped' AND reason = 'erased'`); n != 1 {
		t.Errorf("%d copies of nobody, want one", n)
	}
	w.quiet()
	if n := len(her.sends()); n != 2 {
		t.Errorf("%d messages to who was erased, want the question and the receipt:\n%s", n, her.heard())
	}
	w.stop(s)
	w.nothingLeftOf(her)
}

// TestProofStopWhileOnesCopyIsSent: two people say that they want nothing more while
// the calls of their own copies hang. One copy arrives then, of the other nobody
// knows; both hear that all is stopped, and the next broadcast leaves them out.
func TestProofStopWhileOnesCopyIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t), quietly, copies)
	c := newCampaign(w, audience{people: 60, wrote: time.Hour})
	s := w.start()
	arrives, unknown := c.person(20), c.person(40)
	slow := w.zalo.Fault(zalosim.Fault{User: arrives.id, Hang: true})
	lost := w.zalo.Fault(zalosim.Fault{User: unknown.id, Hang: true, Taken: true})
	first := c.approve(duty()).goes()
	end := first.audit()
	for _, hang := range []*zalosim.Injected{slow, lost} {
		select {
		case <-hang.Struck():
		case <-time.After(soon):
			t.Fatal("the copy is not sent")
		}
	}
	for _, r := range []*resident{arrives, unknown} {
		w.zalo.SendText(r.id, "dừng tin")
	}
	eventually(t, soon, "both have stopped everything", func() bool {
		return w.count(`SELECT count(*) FROM push_person WHERE stopped_at IS NOT NULL`) == 2
	})
	slow.Release()
	first.runIs(broadcast.RunDone, time.Minute)
	for _, r := range []*resident{arrives, unknown} {
		eventually(t, soon, "they hear that all is stopped", func() bool { return strings.Contains(r.heard(), text(t, "stop.done")) })
	}
	end()
	if b := first.account(0); b.Sent != b.Audience-1 || b.Unknown != 1 {
		t.Errorf("sent %d, unknown %d of %d; want one unknown, the others sent", b.Sent, b.Unknown, b.Audience)
	}
	if got := first.copyOf(arrives) + ", " + first.copyOf(unknown); got != "sent, unknown" {
		t.Errorf("the copies of who stopped are %s", got)
	}
	heard := map[*resident]int{arrives: len(arrives.sends()), unknown: len(unknown.sends())}

	second := c.approve(duty()).goes()
	second.runIs(broadcast.RunDone, time.Minute)
	eventually(t, soon, "nothing more is on its way", func() bool { return w.count(`SELECT count(*) FROM outbox WHERE state <> 'unknown'`) == 0 })
	for r, n := range heard {
		if got := second.copyOf(r); got != "skipped stopped" || len(r.sends()) != n {
			t.Errorf("after the stop: the next copy is %s, %d more messages", got, len(r.sends())-n)
		}
	}
	if b := second.books(); b.Sent != b.Audience-2 || b.Skipped != 2 {
		t.Errorf("the next broadcast: sent %d, skipped %d of %d", b.Sent, b.Skipped, b.Audience)
	}
	w.stop(s)
}
