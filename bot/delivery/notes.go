package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"congdanso/bot"
)

const (
	// noteEvery is how often echoes and receipts are written.
	noteEvery = 500 * time.Millisecond
	// mostNotes bounds what waits to be written; more is dropped and counted.
	mostNotes = 50_000
	// claimsKept is how long, at least, the ids of messages we sent are remembered,
	// so that their echoes need not be written.
	claimsKept = time.Minute
)

// notes gathers echoes and receipts between two writes.
type notes struct {
	now func() time.Time

	writing sync.Mutex // held while notes are written

	mu      sync.Mutex
	waiting []note
	dropped int64
	// Ids that answers of Zalo's have claimed, in two generations; true where the
	// message leaves no trace.
	claims, before map[string]bool
	turned         time.Time
}

// note is one echo or receipt.
type note struct {
	who    bot.CitizenID
	at     time.Time
	kind   string
	msgID  string
	digest []byte
}

func (n *notes) init(now func() time.Time) {
	n.now, n.claims, n.before, n.turned = now, map[string]bool{}, map[string]bool{}, now()
}

// claim remembers the id that Zalo gave a message of ours.
func (n *notes) claim(msgID string, secret bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.now(); now.Sub(n.turned) > claimsKept {
		n.claims, n.before, n.turned = make(map[string]bool, len(n.claims)), n.claims, now
	}
	n.claims[msgID] = secret
}

func (n *notes) claimed(msgID string) (claimed, secret bool) {
	if secret, claimed = n.claims[msgID]; !claimed {
		secret, claimed = n.before[msgID]
	}
	return claimed, secret
}

// add keeps notes until they are written, unless there are too many.
func (n *notes) add(list ...note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	room := min(len(list), mostNotes-len(n.waiting))
	n.waiting = append(n.waiting, list[:room]...)
	n.dropped += int64(len(list) - room)
}

// take returns what is to be written: no echo whose id is claimed, and nothing of
// messages that leave no trace; and of whom there was an echo or a receipt that
// nobody claimed.
func (n *notes) take() (list []note, unclaimed []bot.CitizenID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.waiting {
		claimed, secret := n.claimed(w.msgID)
		if secret || claimed && w.kind == "echo" {
			continue
		}
		list = append(list, w)
		if !claimed && w.kind != "seen" { // who reads it has received it
			unclaimed = append(unclaimed, w.who)
		}
	}
	n.waiting = n.waiting[:0]
	return list, unclaimed
}

// forget drops what waits of a citizen, and waits until what was being written
// stands in the table.
func (n *notes) forget(who bot.CitizenID) {
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := n.waiting[:0]
	for _, w := range n.waiting {
		if w.who != who {
			kept = append(kept, w)
		}
	}
	n.waiting = kept
}

// Note takes an echo of ours (bot.Sent without AdminID) or a receipt
// (bot.Delivered, bot.Seen). It never blocks: what is noted is written within a
// second, and lost when there is too much of it or the process ends hard. Other
// events are ignored.
func (o *Outbox) Note(ev bot.Event) {
	base := note{who: ev.Citizen, at: ev.SignedAt}
	switch b := ev.Body.(type) {
	case bot.Sent:
		if b.AdminID != "" || b.MsgID == "" {
			return
		}
		base.kind, base.msgID, base.digest = "echo", clean(b.MsgID), o.digest(b.Text)
		o.notes.add(base)
	case bot.Delivered:
		base.kind, base.msgID, base.at = "delivered", clean(b.MsgID), b.At
		if b.At.IsZero() {
			base.at = ev.SignedAt
		}
		o.notes.add(base)
	case bot.Seen:
		list := make([]note, len(b.MsgIDs))
		for i, id := range b.MsgIDs {
			list[i] = base
			list[i].kind, list[i].msgID = "seen", clean(id)
		}
		o.notes.add(list...)
	}
}

// digest is by what an echo is recognised: the keyed hash of its words in NFC.
func (o *Outbox) digest(text string) []byte {
	return o.keys.Hash("echo", norm.NFC.String(text))
}

// RunNotes writes what Note took until ctx ends, and once more then. Run does it
// too: it is for instances that take webhooks in and deliver nothing.
func (o *Outbox) RunNotes(ctx context.Context) error {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := o.flushNotes(ctx); err != nil && ctx.Err() == nil {
				slog.Warn("echoes and receipts are lost", "error", err)
			}
		case <-ctx.Done():
			if err := o.flushNotes(context.WithoutCancel(ctx)); err != nil {
				slog.Warn("echoes and receipts are lost", "error", err)
			}
			return nil
		}
	}
}

// flushNotes writes what was noted, but nothing of who was erased and has not come
// back: they may read the last message days later. What cannot be written is lost:
// it costs a statistic, or leaves an unknown so.
func (o *Outbox) flushNotes(ctx context.Context) error {
	unclaimed, err := o.writeNotes(ctx)
	if err != nil {
		return err
	}
	return o.wakeUnknown(ctx, unclaimed)
}

// writeNotes writes what was noted, and returns of whom something was told that no
// answer of Zalo's has claimed.
func (o *Outbox) writeNotes(ctx context.Context) (unclaimed []bot.CitizenID, err error) {
	o.notes.writing.Lock()
	defer o.notes.writing.Unlock()
	list, unclaimed := o.notes.take()
	if len(list) == 0 {
		return nil, nil
	}
	n := len(list)
	oas, users, kinds, msgIDs := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	ats, digests, stones := make([]time.Time, n), make([][]byte, n), make([][]byte, n)
	for i, w := range list {
		oas[i], users[i], kinds[i], msgIDs[i], ats[i], digests[i] = w.who.OA, w.who.User, w.kind, w.msgID, w.at, w.digest
		stones[i] = o.keys.Hash("citizen", w.who.OA, w.who.User) // as in bot/citizen
	}
	ctx, cancel := context.WithTimeout(ctx, o.opt.Lease)
	defer cancel()
	_, err = o.pool.Exec(ctx, `
INSERT INTO receipt (oa_id, citizen, at, kind, msg_id, digest)
SELECT oa_id, citizen, at, kind, msg_id, digest
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
    AS w (oa_id, citizen, at, kind, msg_id, digest, stone)
WHERE NOT EXISTS (
    SELECT FROM tombstone t WHERE t.key = w.stone
    AND NOT EXISTS (SELECT FROM citizen c WHERE c.oa_id = w.oa_id AND c.citizen = w.citizen))`,
		oas, users, ats, kinds, msgIDs, digests, stones)
	if err != nil {
		o.meter.lost(n)
		return nil, fmt.Errorf("write %d receipts: %w", n, err)
	}
	return unclaimed, nil
}
