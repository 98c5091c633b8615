package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

const (
	// fewest and most bound how many rows of one priority an instance claims
	// ahead: enough for the next seconds, so that leases need no renewal.
	fewest = 64
	most   = 8192
	// unknownKept is how long what is no reply stays unknown before it is written
	// to history as such.
	unknownKept = 7 * 24 * time.Hour
	// lookApart keeps polls from following each other without a pause.
	lookApart = 10 * time.Millisecond
)

// claimSQL takes rows that nobody holds, or whose lease has ended, oldest first;
// it relies on the index outbox_due. What was in sending when its holder fell
// silent becomes unknown: the call may have been made. A call that is no message
// can be made again: a tag set twice is set.
const claimSQL = `
UPDATE outbox o
SET instance = $3,
    state = CASE WHEN d.lost THEN 'unknown' WHEN d.state IN ('unknown', 'held') THEN d.state ELSE 'claimed' END,
    unsure = o.unsure + d.lost::int,
    due_at = clock_timestamp() + $4::interval,
    echo_until = CASE WHEN d.lost THEN clock_timestamp() + $5::interval ELSE o.echo_until END,
    blocks_until = CASE WHEN d.lost THEN coalesce(o.blocks_until, clock_timestamp() + $6::interval) ELSE o.blocks_until END
FROM (
    SELECT oa_id, citizen, id, state, state = 'sending' AND kind IN ('message', 'template') AS lost
    FROM outbox WHERE priority = $1 AND due_at <= now()
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
) d
WHERE o.oa_id = d.oa_id AND o.citizen = d.citizen AND o.id = d.id
RETURNING o.oa_id, o.citizen, o.id, o.priority, o.kind, o.state, d.lost, o.tries, o.unsure, o.secret, o.created_at, o.expires_at,
    o.window_ends, o.called_at, o.expires_at <= clock_timestamp(),
    greatest(extract(epoch FROM o.echo_until - clock_timestamp()), 0)::float8, coalesce(o.cause, ''),
    o.about IS NOT NULL AND EXISTS (
        SELECT FROM outbox n WHERE n.oa_id = o.oa_id AND n.citizen = o.citizen AND n.id > o.id AND n.about = o.about),
    o.refs, coalesce(o.rung, ''), o.body`

// overdueSQL asks, by the index outbox_due, since when the first row of each
// priority that nobody has taken is due.
const overdueSQL = `
SELECT p::smallint, (SELECT due_at FROM outbox WHERE priority = p AND due_at <= now() ORDER BY due_at LIMIT 1)
FROM generate_series(0, 4) AS p`

// claimed is a row as claimSQL returns it.
type claimed struct {
	job
	state   string
	lost    bool
	called  *time.Time
	expired bool
	echo    time.Duration // how much longer its echo is waited for
	cause   string
}

// pollLoop looks at the table, at least once a poll interval and whenever
// somebody says that there is something to find.
func (o *Outbox) pollLoop(ctx context.Context) {
	tick := time.NewTicker(o.opt.Poll)
	defer tick.Stop()
	away := false
	for {
		err := o.poll(ctx)
		if err != nil && ctx.Err() == nil && !away {
			slog.Error("cannot look for messages to deliver", "error", err) // once, until it works again
		}
		away = err != nil
		o.polls.Add(1)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.meter.tick(o.opt.Poll)
			o.forgetTickets(o.opt.Now())
		case <-o.look:
			select { // others may be about to ask the same
			case <-time.After(lookApart):
			case <-ctx.Done():
				return
			}
		}
	}
}

// poll gives back what waits too long in memory, and claims what is due.
func (o *Outbox) poll(ctx context.Context) error {
	now := o.opt.Now()
	waiting, _ := o.queue.counts()
	late := o.queue.take(func(j *job) bool { return j.leaseEnd.Sub(now) < o.opt.Lease/4 })
	for _, j := range late {
		o.backlog[j.priority].Store(true)
		waiting[j.priority]--
	}
	if err := o.release(ctx, late); err != nil {
		return fmt.Errorf("give back %d messages: %w", len(late), err)
	}
	var rows []claimed
	var limits [priorities]int
	batch := &pgx.Batch{}
	for p := range priorities {
		if limits[p] = o.room(p) - waiting[p]; limits[p] > 0 && !o.paused.Load() {
			o.queueClaim(batch, p, limits[p], &rows)
		} else if waiting[p] > 0 {
			o.backlog[p].Store(true)
		}
	}
	var clock time.Time
	batch.Queue(`SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&clock) })
	var overdue [priorities]time.Duration
	batch.Queue(overdueSQL).Query(func(rows pgx.Rows) error {
		var p int16
		var due *time.Time
		_, err := pgx.ForEachRow(rows, []any{&p, &due}, func() error {
			if due != nil {
				overdue[p] = clock.Sub(*due)
			}
			return nil
		})
		return err
	})
	asked := o.opt.Now()
	if err := o.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("claim messages: %w", err)
	}
	o.meter.overdue(overdue)
	var had [priorities]int
	for i := range rows {
		had[rows[i].priority]++
		rows[i].leaseEnd = asked.Add(o.opt.Lease)
	}
	for p := range priorities {
		if limits[p] > 0 && !o.paused.Load() {
			o.backlog[p].Store(had[p] >= limits[p])
		}
	}
	return o.sortOut(ctx, rows)
}

// room is how many rows of a priority are worth holding: what is sent in half a
// lease.
func (o *Outbox) room(p Priority) int {
	perLease := int(o.meter.perSecond(p) * o.opt.Lease.Seconds() / 2)
	return min(max(fewest, perLease), most)
}

// askForMore has the table polled when memory runs low and more waits there.
func (o *Outbox) askForMore(waiting [priorities]int) {
	for p := range priorities {
		if o.backlog[p].Load() && waiting[p] < o.room(p)/2 {
			o.lookNow()
		}
	}
}

func (o *Outbox) queueClaim(batch *pgx.Batch, p Priority, limit int, into *[]claimed) {
	batch.Queue(claimSQL, int16(p), limit, o.opt.Instance, o.opt.Lease, o.opt.EchoWait, o.opt.BlockFor).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var c claimed
			var window *time.Time
			var echo *float64
			var sealed []byte
			err := rows.Scan(&c.who.OA, &c.who.User, &c.id, &c.priority, &c.kind, &c.state, &c.lost, &c.tries, &c.unsure, &c.secret,
				&c.created, &c.expires, &window, &c.called, &c.expired, &echo, &c.cause, &c.newer, &c.refs, &c.rung, &sealed)
			if err != nil {
				return err
			}
			if window != nil {
				c.window = *window
			}
			if echo != nil {
				c.echo = time.Duration(*echo * float64(time.Second))
			}
			if plain, err := o.keys.Open(bodyPurpose, sealed); err == nil {
				var b body
				if json.Unmarshal(plain, &b) == nil {
					c.msg, c.template, c.call = b.Message, b.Template, b.Call
				}
			}
			*into = append(*into, c)
		}
		return rows.Err()
	})
}

// sortOut decides what to do with claimed rows.
func (o *Outbox) sortOut(ctx context.Context, rows []claimed) error {
	var done []settlement
	var unknown []*claimed
	for i := range rows {
		c := &rows[i]
		leave := func(outcome, cause string) {
			done = append(done, settlement{&c.job, verdict{outcome: outcome, cause: cause}})
		}
		switch {
		case c.msg == nil && c.template == nil && c.call == nil:
			slog.Error("a stored message does not open", "class", c.priority.String())
			leave(outcomeDropped, causeBody)
		case c.state == stateUnknown:
			if c.lost {
				o.meter.count(c.priority, "ambiguous")
			}
			unknown = append(unknown, c)
		case c.state == stateHeld:
			leave(outcomeDropped, cmp.Or(c.cause, causeExpired))
		case c.expired:
			leave(outcomeDropped, causeExpired)
		default:
			o.queue.push(&c.job)
		}
	}
	more, resend, err := o.resolve(ctx, unknown)
	if err != nil {
		return err
	}
	done = append(done, more...)
	if len(done) > 0 {
		if err := errors.Join(o.settleBatch(ctx, done)...); err != nil {
			return err
		}
	}
	if err := o.claimAgain(ctx, resend); err != nil {
		return err
	}
	for _, j := range resend {
		o.queue.push(j)
	}
	o.nudge()
	return nil
}

// echoSQL finds, for unknown messages, an echo of the same words to the same
// citizen, not older than the call, whose id no answer of Zalo's has claimed. For a
// push, which nobody repeats, the receipt of a message that is none of the known
// ones will do, unless its echo had other words.
const echoSQL = `
SELECT w.n::int, r.msg_id, r.at
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::bool[]) WITH ORDINALITY AS w (oa_id, citizen, digest, since, push, n)
CROSS JOIN LATERAL (
    SELECT r.msg_id, r.at FROM receipt r
    WHERE r.oa_id = w.oa_id AND r.citizen = w.citizen AND r.at >= w.since
      AND (r.kind = 'echo' AND r.digest = w.digest
           OR w.push AND r.kind <> 'echo' AND NOT EXISTS (
               SELECT FROM receipt e WHERE e.oa_id = w.oa_id AND e.citizen = w.citizen AND e.at >= w.since
               AND e.kind = 'echo' AND e.msg_id = r.msg_id AND e.digest <> w.digest))
      AND NOT EXISTS (SELECT FROM history h WHERE h.oa_id = w.oa_id AND h.citizen = w.citizen
                      AND h.at >= w.since - interval '1 minute' AND (h.outgoing OR w.push) AND h.msg_id = r.msg_id)
    ORDER BY r.at LIMIT 1
) r`

// echoBefore is how much earlier than our call, by Zalo's clock, its echo may
// have been signed.
const echoBefore = 2 * time.Second

// resolve looks for the echoes of unknown messages. A reply that has none after
// its wait is sent once more, and never more than once.
func (o *Outbox) resolve(ctx context.Context, unknown []*claimed) (done []settlement, resend []*job, err error) {
	if len(unknown) == 0 {
		return nil, nil, nil
	}
	if err := o.flushNotes(ctx); err != nil {
		return nil, nil, err
	}
	n := len(unknown)
	oas, users, digests, since := make([]string, n), make([]string, n), make([][]byte, n), make([]time.Time, n)
	pushes := make([]bool, n)
	for i, c := range unknown {
		oas[i], users[i], pushes[i] = c.who.OA, c.who.User, c.push()
		if c.msg != nil {
			digests[i] = o.digest(c.msg.Text)
		}
		since[i] = c.created.Add(-echoBefore)
		if c.called != nil {
			since[i] = c.called.Add(-echoBefore)
		}
	}
	rows, err := o.pool.Query(ctx, echoSQL, oas, users, digests, since, pushes)
	if err != nil {
		return nil, nil, fmt.Errorf("look for echoes: %w", err)
	}
	type echo struct {
		msgID string
		at    time.Time
	}
	found := map[int]echo{}
	used := map[string]bool{}
	var i int
	var e echo
	_, err = pgx.ForEachRow(rows, []any{&i, &e.msgID, &e.at}, func() error {
		if !used[e.msgID] {
			found[i-1], used[e.msgID] = e, true
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look for echoes: %w", err)
	}
	for i, c := range unknown {
		e, ok := found[i]
		switch {
		case ok:
			o.notes.claim(e.msgID, c.secret)
			done = append(done, settlement{&c.job, verdict{outcome: outcomeSent, metric: "echoed", msgID: e.msgID, at: e.at}})
		case c.echo > 0:
			done = append(done, settlement{&c.job, verdict{state: stateUnknown, metric: "-", cause: c.cause, after: min(c.echo, max(o.opt.EchoWait/5, time.Millisecond))}})
		case c.priority != Reply && c.called != nil && o.opt.Now().Sub(*c.called) < unknownKept-time.Hour:
			if c.cause != causeReported { // from now on it is for a person to decide
				o.reportUnknown(&c.job)
			}
			done = append(done, settlement{&c.job, verdict{state: stateUnknown, metric: "-", cause: causeReported}})
		case c.priority != Reply || c.unsure > 1 || c.expired:
			done = append(done, settlement{&c.job, verdict{outcome: outcomeUnknown}})
		default:
			resend = append(resend, &c.job)
		}
	}
	return done, resend, nil
}

// claimAgain turns unknown rows of ours into claimed ones, to be sent once more.
func (o *Outbox) claimAgain(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	oas, users, ids := keysOf(jobs)
	_, err := o.pool.Exec(ctx, `
UPDATE outbox o SET state = 'claimed', due_at = clock_timestamp() + $5::interval
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS w (oa_id, citizen, id)
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.id = w.id AND o.state = 'unknown' AND o.instance = $1`,
		o.opt.Instance, oas, users, ids, o.opt.Lease)
	if err != nil {
		return fmt.Errorf("take up unknown messages: %w", err)
	}
	for _, j := range jobs {
		o.meter.count(j.priority, "resent")
	}
	return nil
}

// wakeUnknown has the unknown messages of citizens looked at at once, for an echo
// has come that no answer claimed.
func (o *Outbox) wakeUnknown(ctx context.Context, who []bot.CitizenID) error {
	if len(who) == 0 {
		return nil
	}
	oas, users := make([]string, len(who)), make([]string, len(who))
	for i, w := range who {
		oas[i], users[i] = w.OA, w.User
	}
	tag, err := o.pool.Exec(ctx, `
UPDATE outbox o SET due_at = now()
FROM (SELECT DISTINCT oa_id, citizen FROM unnest($1::text[], $2::text[]) AS u (oa_id, citizen)) w
WHERE o.oa_id = w.oa_id AND o.citizen = w.citizen AND o.state = 'unknown' AND o.instance IS NULL`, oas, users)
	if err != nil {
		return fmt.Errorf("wake unknown messages: %w", err)
	}
	if tag.RowsAffected() > 0 {
		o.lookNow()
	}
	return nil
}
