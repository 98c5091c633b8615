package push

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
)

// queueSQL makes pushes queued that are still pending; it relies on the primary key.
// Whoever was stopped, erased, cancelled or taken up elsewhere meanwhile is not.
const queueSQL = `
UPDATE push p SET state = 'queued', reason = NULL, rung = w.rung, cost = w.cost, fed_at = $6
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::int[]) WITH ORDINALITY AS w (oa_id, citizen, source, rung, cost, n)
WHERE p.oa_id = w.oa_id AND p.citizen = w.citizen AND p.source = w.source AND p.state = 'pending'
RETURNING w.n`

// queue makes the pushes of messages queued, inside the feeder's transaction, counts
// them for their people and budgets, and returns the messages that still go. A
// digest one of whose parts has gone does not: its parts wait for the next.
func (s *Store) queue(ctx context.Context, tx pgx.Tx, sends []sending, now time.Time) (kept []sending, err error) {
	var oas, users, rungs []string
	var sources []int64
	var costs []int32
	var of []int // which message
	for i, m := range sends {
		for j, c := range m.pushes {
			cost := m.cost
			if j > 0 {
				cost = 0 // one message is paid for once
			}
			oas, users, sources = append(oas, c.who.OA), append(users, c.who.User), append(sources, c.source)
			rungs, costs, of = append(rungs, string(m.rung)), append(costs, int32(cost)), append(of, i)
		}
	}
	rows, err := tx.Query(ctx, queueSQL, oas, users, sources, rungs, costs, now)
	if err != nil {
		return nil, fmt.Errorf("queue pushes: %w", err)
	}
	done, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("queue pushes: %w", err)
	}
	whole := make([]int, len(sends))
	for _, n := range done {
		whole[of[n-1]]++
	}
	var backOAs, backUsers []string
	var back []int64
	for i, m := range sends {
		if whole[i] == len(m.pushes) {
			kept = append(kept, m)
			continue
		}
		for _, c := range m.pushes {
			backOAs, backUsers, back = append(backOAs, c.who.OA), append(backUsers, c.who.User), append(back, c.source)
		}
	}
	batch := &pgx.Batch{}
	if len(kept) < len(sends) && len(back) > 1 {
		batch.Queue(`
UPDATE push p SET state = 'pending', rung = NULL, cost = 0
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS w (oa_id, citizen, source)
WHERE p.oa_id = w.oa_id AND p.citizen = w.citizen AND p.source = w.source AND p.state = 'queued' AND p.fed_at = $4`,
			backOAs, backUsers, back, now)
	}
	queueCounts(batch, kept, now)
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return nil, fmt.Errorf("count pushes: %w", err)
		}
	}
	return kept, nil
}

// queueCounts counts messages for their people's day and their rungs' budgets.
func queueCounts(batch *pgx.Batch, sends []sending, now time.Time) {
	if len(sends) == 0 {
		return
	}
	who, urgent := make([]bot.CitizenID, len(sends)), make([]int16, len(sends))
	used := map[Rung]int64{}
	for i, m := range sends {
		who[i] = m.who
		if m.pushes[0].class == Urgent {
			urgent[i] = 1
		}
		used[m.rung]++
	}
	oas, users := split(who)
	batch.Queue(`
INSERT INTO push_person AS h (oa_id, citizen, day, pushes, urgent)
SELECT o, u, $4, 1, n FROM unnest($1::text[], $2::text[], $3::smallint[]) AS w (o, u, n)
ON CONFLICT (oa_id, citizen) DO UPDATE SET day = EXCLUDED.day,
    pushes = CASE WHEN h.day = EXCLUDED.day THEN h.pushes + 1 ELSE 1 END,
    urgent = CASE WHEN h.day = EXCLUDED.day THEN h.urgent + EXCLUDED.urgent ELSE EXCLUDED.urgent END`,
		oas, users, urgent, dayOf(now))
	for _, r := range ladder {
		if _, budgeted := budgetDay[r]; used[r] > 0 && budgeted {
			batch.Queue(`
INSERT INTO push_budget AS b (oa_id, rung, day, used) VALUES ($1, $2, $3, $4)
ON CONFLICT (oa_id, rung, day) DO UPDATE SET used = b.used + EXCLUDED.used`, sends[0].who.OA, string(r), dayOf(now), used[r])
		}
	}
}

// putSQL writes down what is not sent now: it waits until later, for the person's
// word, or is skipped for good.
const putSQL = `
WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::bool[])
        AS w (oa_id, citizen, source, state, reason, due_at, digest)
), old AS (
    SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost
    FROM push p JOIN w ON w.oa_id = p.oa_id AND w.citizen = p.citizen AND w.source = p.source
    WHERE p.state = 'pending'
    FOR UPDATE OF p
), moved AS (
    UPDATE push p SET state = w.state, reason = nullif(w.reason, ''), due_at = coalesce(w.due_at, p.due_at),
        digest = w.digest, ended_at = CASE w.state WHEN 'skipped' THEN $8::timestamptz END,
        body = CASE w.state WHEN 'skipped' THEN NULL ELSE p.body END
    FROM old o JOIN w ON w.oa_id = o.oa_id AND w.citizen = o.citizen AND w.source = o.source
    WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung, o.cost AS was_cost,
              p.state, p.reason, p.rung, p.cost
), waits AS (
    INSERT INTO push_person AS h (oa_id, citizen, held)
    SELECT oa_id, citizen, count(*) FROM moved WHERE state = 'held' GROUP BY 1, 2
    ON CONFLICT (oa_id, citizen) DO UPDATE SET held = h.held + EXCLUDED.held
)` + tallyOf + `$8` + tallyEnd

// put writes down what is not sent now.
func (s *Store) put(ctx context.Context, list []ending, now time.Time) error {
	n := len(list)
	if n == 0 {
		return nil
	}
	oas, users, sources := make([]string, n), make([]string, n), make([]int64, n)
	states, reasons, dues, digests := make([]string, n), make([]string, n), make([]*time.Time, n), make([]bool, n)
	for i, e := range list {
		oas[i], users[i], sources[i] = e.c.who.OA, e.c.who.User, e.c.source
		reasons[i], digests[i] = e.d.reason, e.d.digest || e.c.digest
		switch e.d.way {
		case later:
			states[i], dues[i] = "pending", &e.d.due
		case hold:
			states[i] = "held"
		default:
			states[i] = "skipped"
		}
	}
	if _, err := s.pool.Exec(ctx, putSQL, oas, users, sources, states, reasons, dues, digests, now); err != nil {
		return fmt.Errorf("put off %d pushes: %w", n, err)
	}
	return nil
}
