package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// Apply writes the effects of many turns in the caller's transaction, a handful
// of statements whatever their number. Effects of other features are refused.
func (s *Store) Apply(ctx context.Context, tx pgx.Tx, applied []bot.Applied) error {
	topics, areas := newChanges(), newChanges()
	for _, a := range applied {
		switch e := a.Effect.(type) {
		case Subscribe:
			topics.set(a, e.Topic)
		case Unsubscribe:
			topics.unset(a, e.Topic)
		case UnsubscribeAll:
			topics.clear(a)
		case AddArea:
			areas.set(a, e.Code)
		case RemoveArea:
			areas.unset(a, e.Code)
		case ClearAreas:
			areas.clear(a)
		default:
			return fmt.Errorf("apply notice effect: %T is none", a.Effect)
		}
	}
	batch := &pgx.Batch{}
	topics.queue(batch, clearTopics, dropTopics, addTopics)
	areas.queue(batch, clearAreas, dropAreas, addAreas)
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("apply %d effects on notices: %w", len(applied), err)
	}
	return nil
}

// wish is one person's wish for one topic or commune.
type wish struct {
	who bot.CitizenID
	key string
}

// changes is what many effects come to: for one person and key the last word
// counts.
type changes struct {
	cleared map[bot.CitizenID]bool
	wishes  map[wish]*time.Time // nil: ended
}

func newChanges() changes {
	return changes{cleared: map[bot.CitizenID]bool{}, wishes: map[wish]*time.Time{}}
}

func (c changes) set(a bot.Applied, key string)   { c.wishes[wish{a.Citizen, key}] = &a.At }
func (c changes) unset(a bot.Applied, key string) { c.wishes[wish{a.Citizen, key}] = nil }

func (c changes) clear(a bot.Applied) {
	c.cleared[a.Citizen] = true
	for w := range c.wishes {
		if w.who == a.Citizen {
			delete(c.wishes, w)
		}
	}
}

// queue adds the statements: first those that clear, then those that end one
// thing, then those that ask for one.
func (c changes) queue(batch *pgx.Batch, clear, drop, add string) {
	if len(c.cleared) > 0 {
		var oas, citizens []string
		for who := range c.cleared {
			oas, citizens = append(oas, who.OA), append(citizens, who.User)
		}
		batch.Queue(clear, oas, citizens)
	}
	var off, on columns
	for w, at := range c.wishes {
		if at == nil {
			off.add(w)
		} else {
			on.add(w)
			on.times = append(on.times, *at)
		}
	}
	if len(off.keys) > 0 {
		batch.Queue(drop, off.oas, off.citizens, off.keys)
	}
	if len(on.keys) > 0 {
		batch.Queue(add, on.oas, on.citizens, on.keys, on.times)
	}
}

// columns are rows turned on their side, for unnest.
type columns struct {
	oas, citizens, keys []string
	times               []time.Time
}

func (c *columns) add(w wish) {
	c.oas, c.citizens, c.keys = append(c.oas, w.who.OA), append(c.citizens, w.who.User), append(c.keys, w.key)
}

// The statements use the tables' primary keys.
const (
	clearTopics = `
DELETE FROM notice_subscription s USING unnest($1::text[], $2::text[]) AS w (oa_id, citizen)
WHERE s.oa_id = w.oa_id AND s.citizen = w.citizen`
	dropTopics = `
DELETE FROM notice_subscription s USING unnest($1::text[], $2::text[], $3::text[]) AS w (oa_id, citizen, topic)
WHERE s.oa_id = w.oa_id AND s.citizen = w.citizen AND s.topic = w.topic`
	addTopics = `
INSERT INTO notice_subscription (oa_id, citizen, topic, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT DO NOTHING`
	clearAreas = `
DELETE FROM notice_area a USING unnest($1::text[], $2::text[]) AS w (oa_id, citizen)
WHERE a.oa_id = w.oa_id AND a.citizen = w.citizen`
	dropAreas = `
DELETE FROM notice_area a USING unnest($1::text[], $2::text[], $3::text[]) AS w (oa_id, citizen, code)
WHERE a.oa_id = w.oa_id AND a.citizen = w.citizen AND a.code = w.code`
	addAreas = `
INSERT INTO notice_area (oa_id, citizen, code, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT DO NOTHING`
)
