package delivery

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// lockClass keeps the locks of citizens apart from other advisory locks.
const lockClass = 0x6f757462 // "outb"

// lockKey is the second half of a citizen's advisory lock. Two citizens that
// share one are kept apart for no reason, and only for a moment.
func lockKey(who bot.CitizenID) int32 {
	h := fnv.New32a()
	h.Write([]byte(who.OA))
	h.Write([]byte{0})
	h.Write([]byte(who.User))
	return int32(h.Sum32())
}

// The locks are taken by a statement of their own, so that the statement after
// it, whose snapshot is younger, sees everything that was marked under them. A
// lock that is held elsewhere is not waited for: no deadlock can come of it.
const lockSQL = `
SELECT set_config('congdanso.free',
    (SELECT array_agg(pg_try_advisory_xact_lock($1, k) ORDER BY n)::text FROM unnest($2::int[]) WITH ORDINALITY AS u (k, n)),
    true)`

// blocking says whether row e keeps its citizen's row o from being sent: any row
// that is being sent; a reply that has to go first; and for what is no reply,
// every waiting reply and what was decided before it. What was refused blocks
// until blocks_until; what is not due yet and was never tried does not block.
// Placeholders: e is the other row; %[1]s its id's and %[2]s its priority's bound.
const blocking = `
    (e.state = 'sending'
     OR (e.priority = 0 AND (%[2]s <> 0 OR e.id < %[1]s) AND e.state IN ('pending', 'claimed', 'unknown')
         OR e.priority <> 0 AND %[2]s <> 0 AND e.id < %[1]s AND e.state IN ('pending', 'claimed'))
        AND coalesce(e.blocks_until > clock_timestamp(), e.state = 'claimed' OR e.due_at <= clock_timestamp()))`

// Ids are made by Postgres's clock, so that what later turns decide comes later,
// whichever instance they ran on; the low bits tell the items of a statement
// apart.
var enqueueSQL = `
WITH now AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint << ` + strconv.Itoa(idBits) + ` AS base
)
INSERT INTO outbox (oa_id, citizen, id, priority, kind, state, tries, secret, instance, due_at,
                    created_at, expires_at, window_ends, called_at, about, refs, rung, body)
SELECT w.oa_id, w.citizen, now.base + w.n - 1, w.priority, w.kind, s.state, CASE s.state WHEN 'sending' THEN 1 ELSE 0 END, w.secret,
       CASE s.state WHEN 'pending' THEN NULL ELSE $1 END,
       CASE s.state WHEN 'pending' THEN coalesce(w.due_at, clock_timestamp()) ELSE clock_timestamp() + $2::interval END,
       w.created_at, w.expires_at, w.window_ends, CASE s.state WHEN 'sending' THEN clock_timestamp() END, w.about,
       string_to_array(w.refs, ',')::bigint[], w.rung, w.body
FROM now, unnest($3::text[], $4::text[], $5::smallint[], $6::text[], $7::bool[], $8::bool[], $9::int[],
            $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::text[], $16::text[], $17::bytea[])
     WITH ORDINALITY AS w (oa_id, citizen, priority, kind, secret, mine, slot, due_at, created_at, expires_at, window_ends, about, refs, rung, body, n)
CROSS JOIN LATERAL (SELECT CASE
    WHEN w.slot > 0 AND (current_setting('congdanso.free', true)::bool[])[w.slot] AND NOT EXISTS (
        SELECT FROM outbox e WHERE e.oa_id = w.oa_id AND e.citizen = w.citizen AND ` +
	fmt.Sprintf(blocking, "now.base", "w.priority") + `) THEN 'sending'
    WHEN w.mine THEN 'claimed' ELSE 'pending' END AS state) s
RETURNING id, state`

const (
	idBits = 11
	// mostItems is how many items one statement takes.
	mostItems = 1 << idBits
)

// QueueEnqueue adds to batch the statements that put items into the outbox. The
// batch runs in a READ COMMITTED transaction. Items that were prepared are
// leased to this instance and wait for Hand; others are found by the next poll
// of any instance.
func (o *Outbox) QueueEnqueue(batch *pgx.Batch, items []Item) error {
	for len(items) > mostItems {
		if err := o.QueueEnqueue(batch, items[:mostItems]); err != nil {
			return err
		}
		items = items[mostItems:]
	}
	if len(items) == 0 {
		return nil
	}
	now := o.opt.Now()
	n := len(items)
	tickets := make([]*ticket, n)
	oas, users := make([]string, n), make([]string, n)
	prios, kinds := make([]int16, n), make([]string, n)
	secret, mine, slots := make([]bool, n), make([]bool, n), make([]int32, n)
	due, created, expires, windows := make([]*time.Time, n), make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n)
	abouts, refs, rungs, bodies := make([]*string, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	var locks []int32
	backlog := o.backlog[Reply].Load() || o.paused.Load() || !o.running.Load()
	for i := range items {
		it := items[i]
		if it.To.IsZero() || it.contents() != 1 || it.Priority < 0 || it.Priority >= priorities {
			return fmt.Errorf("enqueue: item %d has no citizen, no priority, or not one content", i)
		}
		prepared := it.ticket != nil
		t := o.ticketFor(&it, now)
		j := t.job
		tickets[i] = t
		oas[i], users[i] = j.who.OA, j.who.User
		prios[i], kinds[i], secret[i], bodies[i] = int16(j.priority), j.kind, j.secret, t.body
		mine[i] = prepared && !backlog && it.NotBefore.IsZero() && !j.push()
		created[i], expires[i] = j.created, j.expires
		if !it.NotBefore.IsZero() {
			due[i] = &it.NotBefore
		}
		if !j.window.IsZero() {
			windows[i] = &j.window
		}
		if j.msg != nil && j.msg.About != "" {
			about := clean(j.msg.About)
			abouts[i] = &about
		}
		if j.push() {
			refs[i], rungs[i] = optional(joinRefs(j.refs)), optional(j.rung)
		}
		j.leaseEnd = now.Add(o.opt.Lease)
		if t.place {
			locks = append(locks, lockKey(j.who))
			slots[i] = int32(len(locks))
		}
	}
	if len(locks) > 0 {
		batch.Queue(lockSQL, int32(lockClass), locks)
	}
	batch.Queue(enqueueSQL, o.opt.Instance, o.opt.Lease, oas, users, prios, kinds, secret, mine, slots,
		due, created, expires, windows, abouts, refs, rungs, bodies).Query(func(rows pgx.Rows) error {
		var id int64
		var state string
		_, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error {
			t := tickets[id%mostItems]
			t.job.id, t.state = id, state
			return nil
		})
		if err != nil {
			return fmt.Errorf("enqueue %d items: %w", n, err)
		}
		return nil
	})
	return nil
}

// joinRefs writes numbers as the statement reads them: arrays of arrays of
// different lengths are nothing Postgres has.
func joinRefs(refs []int64) string {
	var b []byte
	for i, ref := range refs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, ref, 10)
	}
	return string(b)
}

// Enqueue puts items into the outbox inside tx; see QueueEnqueue.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	if err := o.QueueEnqueue(batch, items); err != nil {
		return err
	}
	return tx.SendBatch(ctx, batch).Close()
}
