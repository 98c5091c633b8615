package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Refusals is what keeps pushes of one source in the outbox: equal words of Zalo's
// are told together.
type Refusals struct {
	Words string    // Zalo's
	N     int64     // messages that wait because of them
	Until time.Time // when the first of them is tried again
}

// RefusalsOf tells why pushes of a source that were tried wait, as when the account
// is suspended. It reads the whole outbox, which is small.
func RefusalsOf(ctx context.Context, pool *pgxpool.Pool, ref int64) ([]Refusals, error) {
	rows, err := pool.Query(ctx, `
SELECT cause, count(*), min(due_at) FROM outbox
WHERE refs @> ARRAY[$1::bigint] AND state = 'pending' AND cause IS NOT NULL GROUP BY cause ORDER BY 2 DESC, 1`, ref)
	if err != nil {
		return nil, fmt.Errorf("read refusals: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Refusals])
	if err != nil {
		return nil, fmt.Errorf("read refusals: %w", err)
	}
	return list, nil
}
