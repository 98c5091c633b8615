package delivery

import (
	"context"
	"fmt"
	"time"
)

// setAsideFor is how long rows that were set aside wait for a person.
const setAsideFor = 30 * 24 * time.Hour

// MarkAllUnknown is for a database that was restored or has failed over: what it
// says is claimed or being sent may have been delivered by what came after. None
// of it is sent again; replies wait for their echo and then leave as unknown,
// the rest is for a person to decide. It returns how many rows it marked.
func (o *Outbox) MarkAllUnknown(ctx context.Context) (int, error) {
	tag, err := o.pool.Exec(ctx, `
UPDATE outbox
SET state = 'unknown', unsure = 2, instance = NULL, echo_until = clock_timestamp() + $1::interval, cause = 'restored',
    due_at = clock_timestamp() + CASE priority WHEN 0 THEN $1::interval ELSE $2::interval END
WHERE state IN ('claimed', 'sending', 'unknown')`, o.opt.EchoWait, unknownKept)
	if err != nil {
		return 0, fmt.Errorf("mark messages as unknown: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// SetAside keeps what was decided before a time from being sent by itself. It
// returns how many rows it set aside.
func (o *Outbox) SetAside(ctx context.Context, before time.Time) (int, error) {
	tag, err := o.pool.Exec(ctx, `
UPDATE outbox SET state = 'held', instance = NULL, cause = $2, due_at = clock_timestamp() + $3::interval
WHERE state IN ('pending', 'held') AND created_at < $1`, before, causeSetAside, setAsideFor)
	if err != nil {
		return 0, fmt.Errorf("set messages aside: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
