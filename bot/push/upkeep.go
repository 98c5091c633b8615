package push

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

const (
	// slice bounds the rows one statement of a job touches.
	slice = 5000
	// Kept is how long pushes stay after they ended, like the texts of messages.
	Kept = 90 * 24 * time.Hour
	// receiptsSeen is how long receipts are looked for after a push was sent.
	receiptsSeen = 7 * 24 * time.Hour
	// receiptsLate is how much later than they were signed receipts may be written.
	receiptsLate = 10 * time.Minute
)

// Sweep skips what waited until its time was over. It works in slices.
func (s *Store) Sweep(ctx context.Context, now time.Time) (n int64, err error) {
	for {
		var did int64
		err := s.pool.QueryRow(ctx, `
WITH old AS (
    SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
    WHERE state IN ('pending', 'held') AND expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE push p SET state = 'skipped', reason = 'expired', ended_at = $1, body = NULL
    FROM old o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung, o.cost AS was_cost,
              p.state, p.reason, p.rung, p.cost
), waits AS (
    UPDATE push_person h SET held = greatest(0, h.held - m.n)
    FROM (SELECT oa_id, citizen, count(*)::int AS n FROM moved WHERE was = 'held' GROUP BY 1, 2) m
    WHERE h.oa_id = m.oa_id AND h.citizen = m.citizen
), counted AS (`+tallyOf+`$1`+tallyEnd+`)
SELECT count(*) FROM moved`, now, slice).Scan(&did)
		if err != nil {
			return n, fmt.Errorf("sweep pushes: %w", err)
		}
		if n += did; did < slice {
			return n, nil
		}
	}
}

// Receipts counts what was delivered and read among the pushes of the last days: each
// push once, whatever receipts come. It goes on from where it ended last, by the index
// receipt_at, so that what it costs does not grow with what was sent.
func (s *Store) Receipts(ctx context.Context, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
WITH told AS (
    SELECT oa_id, citizen, msg_id, bit_or(CASE kind WHEN 'seen' THEN 3 ELSE 1 END)::smallint AS bits
    FROM receipt WHERE at >= coalesce((SELECT upto FROM push_counted), $2) - $1::interval AND kind IN ('delivered', 'seen') GROUP BY 1, 2, 3
), marked AS (
    INSERT INTO push_counted (upto) VALUES ($3) ON CONFLICT (single) DO UPDATE SET upto = EXCLUDED.upto
), old AS (
    SELECT p.oa_id, p.citizen, p.source, p.seen, t.bits FROM push p
    JOIN told t ON t.oa_id = p.oa_id AND t.citizen = p.citizen AND t.msg_id = p.msg_id
    WHERE p.state = 'sent' AND p.ended_at >= $2 AND p.seen & t.bits <> t.bits
    FOR UPDATE OF p
), moved AS (
    UPDATE push p SET seen = p.seen | o.bits FROM old o
    WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING CASE p.kind WHEN 'broadcast' THEN p.source ELSE 0 END AS source, p.kind, p.seen & ~o.seen AS fresh
)
INSERT INTO push_tally (source, kind, state, day, n)
SELECT source, kind, w.state, ($3::timestamptz AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, count(*)
FROM moved JOIN (VALUES (1, 'delivered'), (2, 'read')) AS w (bit, state) ON fresh & w.bit <> 0
GROUP BY 1, 2, 3`, receiptsLate, now.Add(-receiptsSeen), now)
	if err != nil {
		return fmt.Errorf("count receipts of pushes: %w", err)
	}
	return nil
}

// Purge deletes what ended long ago, in slices. The books of broadcasts stay.
func (s *Store) Purge(ctx context.Context, now time.Time) error {
	for {
		tag, err := s.pool.Exec(ctx, `
DELETE FROM push WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM push WHERE state IN ('sent', 'failed', 'skipped', 'unknown') AND made_at < $1 LIMIT $2))`, now.Add(-Kept), slice)
		if err != nil {
			return fmt.Errorf("purge pushes: %w", err)
		}
		if tag.RowsAffected() < slice {
			break
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM push_budget WHERE day < $1`, dayOf(now.AddDate(0, -2, 0)))
	batch.Queue(`DELETE FROM push_rung WHERE until < $1`, now)
	batch.Queue(`DELETE FROM push_tally WHERE source = 0 AND day < $1`, dayOf(now.AddDate(-1, -1, 0)))
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("purge pushes: %w", err)
	}
	return nil
}

// Cancel skips, in the caller's transaction, the copies of a run that have not gone
// yet, at most a slice of them; it is called again until it returns 0. What is in the
// air ends as it ends.
func (s *Store) Cancel(ctx context.Context, tx pgx.Tx, run int64, reason string, now time.Time) (n int64, err error) {
	who, err := delivery.CancelRef(ctx, tx, run)
	if err != nil {
		return 0, fmt.Errorf("cancel run %d: %w", run, err)
	}
	oas, users := split(who)
	err = tx.QueryRow(ctx, `
WITH old AS (
    SELECT * FROM (SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
        WHERE source = $1 AND kind = 'broadcast' AND state = 'pending' AND NOT digest LIMIT $4 FOR UPDATE) a
    UNION ALL
    SELECT * FROM (SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
        WHERE source = $1 AND kind = 'broadcast' AND state = 'held' LIMIT $4 FOR UPDATE) b
    UNION ALL
    SELECT * FROM (SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
        WHERE oa_id IN (SELECT oa_id FROM push_feed) AND source = $1 AND state = 'pending' AND digest LIMIT $4 FOR UPDATE) c
    UNION ALL
    SELECT * FROM (SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost
        FROM unnest($5::text[], $6::text[]) AS w (o, u) JOIN push p ON p.oa_id = w.o AND p.citizen = w.u AND p.source = $1
        WHERE p.state = 'queued' FOR UPDATE OF p) d
), moved AS (
    UPDATE push p SET state = 'skipped', reason = $2, ended_at = $3, rung = NULL, cost = 0
    FROM old o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung,
              CASE o.state WHEN 'queued' THEN 0 ELSE o.cost END AS was_cost, p.state, p.reason, p.rung, p.cost
), waits AS (
    UPDATE push_person h SET held = greatest(0, h.held - m.n)
    FROM (SELECT oa_id, citizen, count(*)::int AS n FROM moved WHERE was = 'held' GROUP BY 1, 2) m
    WHERE h.oa_id = m.oa_id AND h.citizen = m.citizen
), counted AS (`+tallyOf+`$3`+tallyEnd+`)
SELECT count(*) FROM moved`, run, reason, now, slice, oas, users).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("cancel run %d: %w", run, err)
	}
	return n, nil
}

// Unknowns lists recipients of a run whose copy may or may not have arrived, after
// a person's id.
func (s *Store) Unknowns(ctx context.Context, run int64, after bot.CitizenID, most int) ([]bot.CitizenID, error) {
	rows, err := s.pool.Query(ctx, `
SELECT oa_id, citizen FROM push WHERE source = $1 AND state = 'unknown' AND (oa_id, citizen) > ($2, $3)
ORDER BY source, oa_id, citizen LIMIT $4`, run, after.OA, after.User, most)
	if err != nil {
		return nil, fmt.Errorf("list unknown copies of run %d: %w", run, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[bot.CitizenID])
	if err != nil {
		return nil, fmt.Errorf("list unknown copies of run %d: %w", run, err)
	}
	return list, nil
}

// Resend lets unknown copies of a run be sent once more, in the caller's
// transaction: a person's audited decision. An empty who means all of them.
func (s *Store) Resend(ctx context.Context, tx pgx.Tx, run int64, who []bot.CitizenID, now, expires time.Time) (n int64, err error) {
	if err := delivery.ForgetUnknown(ctx, tx, run, who); err != nil {
		return 0, fmt.Errorf("resend run %d: %w", run, err)
	}
	oas, users := split(who)
	err = tx.QueryRow(ctx, `
WITH old AS (
    SELECT oa_id, citizen, source, state, reason, rung, cost FROM push
    WHERE source = $1 AND state = 'unknown' AND citizen NOT LIKE 'erased:%'
      AND (cardinality($2::text[]) = 0 OR (oa_id, citizen) IN (SELECT * FROM unnest($2::text[], $3::text[])))
    FOR UPDATE
), moved AS (
    UPDATE push p SET state = 'pending', reason = NULL, ended_at = NULL, due_at = $4, expires_at = $5, rung = NULL, cost = 0, unsure = false
    FROM old o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung, o.cost AS was_cost,
              p.state, p.reason, p.rung, p.cost
), counted AS (`+tallyOf+`$4`+tallyEnd+`)
SELECT count(*) FROM moved`, run, oas, users, now, expires).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("resend run %d: %w", run, err)
	}
	return n, nil
}

// AfterRestore is for a database that was restored or has failed over, once delivery
// has marked what it knows nothing of: pushes whose message is unknown or set aside
// are so too, and notices that had not gone wait for the person's word, for they may
// have gone in the time that was lost. Copies of broadcasts wait with their paused
// runs.
func (s *Store) AfterRestore(ctx context.Context, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
WITH gone AS (
    DELETE FROM outbox WHERE refs IS NOT NULL AND state IN ('pending', 'held') RETURNING oa_id, citizen, refs
), old AS (
    SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost, CASE p.kind WHEN 'broadcast' THEN 'pending' ELSE 'held' END AS to_state
    FROM gone g CROSS JOIN LATERAL unnest(g.refs) AS r (source)
    JOIN push p ON p.oa_id = g.oa_id AND p.citizen = g.citizen AND p.source = r.source WHERE p.state = 'queued'
    UNION
    SELECT p.oa_id, p.citizen, p.source, p.state, p.reason, p.rung, p.cost, 'unknown'
    FROM outbox o CROSS JOIN LATERAL unnest(o.refs) AS r (source)
    JOIN push p ON p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = r.source
    WHERE o.state = 'unknown' AND p.state = 'queued'
    UNION
    SELECT oa_id, citizen, source, state, reason, rung, cost, 'held' FROM push
    WHERE state = 'pending' AND kind <> 'broadcast' AND made_at < $1
), moved AS (
    UPDATE push p SET state = o.to_state, reason = 'restored', unsure = p.unsure OR o.to_state = 'unknown'
    FROM old o WHERE p.oa_id = o.oa_id AND p.citizen = o.citizen AND p.source = o.source
    RETURNING p.oa_id, p.citizen, p.source, p.kind, o.state AS was, o.reason AS was_reason, o.rung AS was_rung,
              CASE o.state WHEN 'queued' THEN 0 ELSE o.cost END AS was_cost, p.state, p.reason, p.rung, p.cost
), waits AS (
    INSERT INTO push_person AS h (oa_id, citizen, held)
    SELECT oa_id, citizen, count(*) FROM moved WHERE state = 'held' GROUP BY 1, 2
    ON CONFLICT (oa_id, citizen) DO UPDATE SET held = h.held + EXCLUDED.held
)`+tallyOf+`$1`+tallyEnd, now)
	if err != nil {
		return fmt.Errorf("settle pushes after a restore: %w", err)
	}
	return nil
}
