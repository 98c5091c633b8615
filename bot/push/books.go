package push

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// tallyOf counts what a statement's CTE "moved" changed: its columns are source,
// kind, was, was_reason, was_rung, was_cost (was is NULL for what is new), state,
// reason, rung and cost. What follows is the parameter that holds the moment, and
// tallyEnd. What is still to come counts as pending, wherever it waits.
const tallyOf = `
INSERT INTO push_tally (source, kind, state, reason, rung, day, n, cost)
SELECT CASE kind WHEN 'broadcast' THEN source ELSE 0 END, kind, state, reason, rung,
       (max(at) AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, sum(n), sum(cost)
FROM (SELECT source, kind, n, m.at,
             CASE WHEN open THEN 'pending' ELSE state END AS state, CASE WHEN open THEN '' ELSE coalesce(reason, '') END AS reason,
             CASE WHEN open THEN '' ELSE coalesce(rung, '') END AS rung, CASE WHEN open THEN 0 ELSE n * cost END AS cost
      FROM (SELECT source, kind, was AS state, was_reason AS reason, was_rung AS rung, was_cost AS cost, -1 AS n FROM moved WHERE was IS NOT NULL
            UNION ALL
            SELECT source, kind, state, reason, rung, cost, 1 FROM moved) d
      CROSS JOIN LATERAL (SELECT d.state IN ('pending', 'queued') AS open) o
      CROSS JOIN (SELECT `

const tallyEnd = `::timestamptz AS at) m) e
GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0 OR sum(cost) <> 0`

// Count is a part of the books.
type Count struct {
	Kind   string // of notices; "broadcast" for a run
	State  string // pending (queued included), held, unknown, sent, failed, skipped
	Reason string
	Rung   string
	N      int64
	Cost   int64 // đồng
}

// Books are the counts of a run. They balance: Audience is the sum of the states.
type Books struct {
	Audience  int64
	Pending   int64 // queued, claimed and sending included
	Sent      int64
	Failed    int64
	Held      int64
	Skipped   int64
	Unknown   int64
	Cost      int64 // đồng, unknown ones included
	Delivered int64
	Read      int64
	Counts    []Count // by state, reason and rung
}

// Books reads the books of a run.
func (s *Store) Books(ctx context.Context, run int64) (Books, error) {
	counts, err := s.counts(ctx, `source = $1`, run)
	if err != nil {
		return Books{}, fmt.Errorf("read the books of run %d: %w", run, err)
	}
	return add(counts), nil
}

// Notices reads the counts of notices made or ended since a day, by kind.
func (s *Store) Notices(ctx context.Context, since time.Time) ([]Count, error) {
	counts, err := s.counts(ctx, `source = 0 AND day >= $1::date`, dayOf(since))
	if err != nil {
		return nil, fmt.Errorf("read the counts of notices: %w", err)
	}
	return counts, nil
}

func (s *Store) counts(ctx context.Context, where string, arg any) ([]Count, error) {
	rows, err := s.pool.Query(ctx, `
SELECT kind, state, reason, rung, sum(n)::bigint, sum(cost)::bigint FROM push_tally
WHERE `+where+` GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 OR sum(cost) <> 0 ORDER BY 1, 2, 3, 4`, arg)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
}

func add(counts []Count) (b Books) {
	for _, c := range counts {
		switch c.State {
		case "delivered":
			b.Delivered += c.N
			continue
		case "read":
			b.Read += c.N
			continue
		case "pending":
			b.Pending += c.N
		case "held":
			b.Held += c.N
		case "unknown":
			b.Unknown += c.N
		case "sent":
			b.Sent += c.N
		case "failed":
			b.Failed += c.N
		case "skipped":
			b.Skipped += c.N
		}
		b.Audience += c.N
		b.Cost += c.Cost
		b.Counts = append(b.Counts, c)
	}
	return b
}

// Fold adds up the differences in push_tally, so that reading the books stays cheap.
// Whoever reads meanwhile sees either all of them or their sum.
func (s *Store) Fold(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `
WITH gone AS (
    DELETE FROM push_tally t USING (
        SELECT source FROM push_tally GROUP BY source HAVING count(*) > 64
    ) many
    WHERE t.source = many.source
    RETURNING t.source, t.kind, t.state, t.reason, t.rung, t.day, t.n, t.cost
)
INSERT INTO push_tally (source, kind, state, reason, rung, day, n, cost)
SELECT source, kind, state, reason, rung, day, sum(n), sum(cost)
FROM gone GROUP BY source, kind, state, reason, rung, day
HAVING sum(n) <> 0 OR sum(cost) <> 0`)
	if err != nil {
		return fmt.Errorf("fold the books: %w", err)
	}
	return nil
}
